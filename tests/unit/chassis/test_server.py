"""The server and the client channel together, over a real socket, by either library: errors both ways, auth, drain."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest

from chassis import auth, errors, telemetry
from chassis.client import channel
from chassis.front import Implementation
from chassis.server import MAX_MESSAGE, Server, remaining
from tocsin.options.v1 import options_pb2
from tocsin.roster.v1 import responder_pb2, responder_service_pb2, responder_service_pb2_grpc

KEY = "k" * 32
READ = auth.mint(KEY, subject="ada", scopes=["roster:read"])
GET = "/tocsin.roster.v1.ResponderService/GetResponder"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


pytestmark = pytest.mark.parametrize("by", ["native", "grpcio"])


class Api(responder_service_pb2_grpc.ResponderServiceServicer):
    """Does what the id says."""

    def __init__(self) -> None:
        self.calls = 0
        self.under_way = asyncio.Event()
        self.release = asyncio.Event()

    async def GetResponder(
        self, request: responder_service_pb2.GetResponderRequest, context: object
    ) -> responder_pb2.Responder:
        self.calls += 1
        match request.responder_id:
            case "missing":
                raise errors.NotFound("no such person", reason="NO_RESPONDER")
            case "wrong":
                problems = errors.Problems()
                problems.add("a", "is wrong")
                problems.add("b", "is wrong too")
                problems.check()
            case "all-wrong":
                problems = errors.Problems()
                for number in range(2_000):
                    problems.add(
                        f"scopes[{number}]", "is not ä scope; want one of these, whose names are long"
                    )
                problems.check()
            case "bug":
                raise ZeroDivisionError("secret detail")
            case "away-once" if self.calls < 3:
                raise errors.Unavailable("not yet")
            case "slow":
                self.under_way.set()
                await self.release.wait()
        left = remaining()
        return responder_pb2.Responder(
            responder_id=auth.caller().subject,
            display_name=telemetry.trace_parent(),
            time_zone="" if left is None else f"{left:.3f}",
        )


def scripted() -> Api:
    """An Api whose other methods are not there yet."""
    Api.__abstractmethods__ = frozenset()
    return Api()  # type: ignore[abstract]


@asynccontextmanager
async def serving(api: Api, implementation: Implementation) -> AsyncIterator[Server]:
    """The server, stopped at the end."""
    service = responder_service_pb2.DESCRIPTOR.services_by_name["ResponderService"]
    scopes = auth.scopes_of([service], options_pb2.scope)
    server = Server(
        listen="127.0.0.1:0", verifier=auth.Verifier(KEY), scopes=scopes, implementation=implementation
    )
    responder_service_pb2_grpc.add_ResponderServiceServicer_to_server(api, server.grpc)
    await server.start()
    try:
        yield server
    finally:
        api.release.set()
        await server.drain(timedelta(seconds=1))


async def get(server: Server, name: str, *, token: str = READ, **options: object) -> responder_pb2.Responder:
    """One call through a channel of its own."""
    async with channel(server.address, token=token, **options) as peer:  # type: ignore[arg-type]
        stub = responder_service_pb2_grpc.ResponderServiceStub(peer)
        return await stub.GetResponder(responder_service_pb2.GetResponderRequest(responder_id=name))


async def test_a_domain_error_comes_back_as_itself(by: Implementation) -> None:
    """With its reason and every field."""
    async with serving(scripted(), by) as server:
        with pytest.raises(errors.NotFound) as missing:
            await get(server, "missing")
        assert (missing.value.message, missing.value.reason) == ("no such person", "NO_RESPONDER")
        with pytest.raises(errors.Invalid) as wrong:
            await get(server, "wrong")
        assert [field.path for field in wrong.value.fields] == ["a", "b"]


async def test_an_error_with_very_many_fields_fits_into_a_call(by: Implementation) -> None:
    """As many as fit are named, and the others counted."""
    async with serving(scripted(), by) as server:
        with pytest.raises(errors.Invalid) as wrong:
            await get(server, "all-wrong")
    named = wrong.value.fields
    assert [field.path for field in named[:-1]] == [f"scopes[{number}]" for number in range(len(named) - 1)]
    assert len(named) > 50
    assert named[-1].description == f"{2_000 - len(named) + 1} more fields are wrong"


async def test_a_bug_is_internal_and_tells_nothing(by: Implementation) -> None:
    """No driver's message, no stack trace."""
    async with serving(scripted(), by) as server:
        with pytest.raises(errors.DomainError) as bug:
            await get(server, "bug")
        assert bug.value.code is grpc.StatusCode.INTERNAL
        assert "secret" not in bug.value.message


async def test_bytes_that_are_no_message_are_invalid(by: Implementation) -> None:
    """Not the decoder's words."""
    async with serving(scripted(), by) as server, grpc.aio.insecure_channel(server.address) as peer:
        call: Any = peer.unary_unary(GET)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"\xff\xff\xff", metadata=(("authorization", f"Bearer {READ}"),))
        error = errors.from_rpc(refused.value)
        assert (type(error), error.reason) == (errors.Invalid, "MALFORMED_MESSAGE")


async def test_the_scope_of_the_proto_is_asked_for(by: Implementation) -> None:
    """No token, and a token without it."""
    async with serving(scripted(), by) as server:
        with pytest.raises(errors.Unauthenticated):
            await get(server, "x", token="")
        with pytest.raises(errors.Denied):
            await get(server, "x", token=auth.mint(KEY, subject="ada", scopes=["alerts:read"]))
        assert (await get(server, "x")).responder_id == "ada"


async def test_an_unimplemented_method_says_so(by: Implementation) -> None:
    """Also through the gate."""
    async with serving(scripted(), by) as server, channel(server.address, token=READ) as peer:
        stub = responder_service_pb2_grpc.ResponderServiceStub(peer)
        with pytest.raises(errors.Unimplemented):
            await stub.ListResponders(responder_service_pb2.ListRespondersRequest())


async def test_the_deadline_and_the_trace_are_passed_on(by: Implementation) -> None:
    """A call made on behalf of another ends with it."""
    async with serving(scripted(), by) as server:
        answer = await get(server, "x", deadline=timedelta(seconds=2))
        assert 1 < float(answer.time_zone) < 2.1  # the wire rounds deadlines up
        telemetry.enter_trace(TRACE)
        assert (await get(server, "x")).display_name == TRACE
        with pytest.raises(errors.TimedOut):
            await get(server, "slow", deadline=timedelta(milliseconds=50))


async def test_an_idempotent_call_is_retried_while_the_peer_is_away(by: Implementation) -> None:
    """And only then."""
    api = scripted()
    async with serving(api, by) as server:
        with pytest.raises(errors.Unavailable):
            await get(server, "away-once")
        api.calls = 0
        await get(server, "away-once", idempotent=[GET])
        assert api.calls == 3


async def test_a_drain_lets_calls_finish_and_takes_no_new_ones(by: Implementation) -> None:
    """Nobody loses an answer to a restart."""
    api = scripted()
    async with serving(api, by) as server:
        call = asyncio.create_task(get(server, "slow"))
        await api.under_way.wait()
        drain = asyncio.create_task(server.drain(timedelta(seconds=5)))
        await server.draining.wait()
        api.release.set()
        assert (await call).responder_id == "ada"
        await drain
        with pytest.raises(errors.Unavailable):
            await get(server, "x", deadline=timedelta(seconds=1))


async def test_a_drain_loses_no_answer_of_many(by: Implementation) -> None:
    """Also of those that were given in its last moment."""
    api = scripted()
    async with serving(api, by) as server:
        calls = [asyncio.create_task(get(server, "slow")) for _ in range(200)]
        while api.calls < len(calls):
            await asyncio.sleep(0)
        drain = asyncio.create_task(server.drain(timedelta(seconds=5)))
        await server.draining.wait()
        api.release.set()
        assert {answer.responder_id for answer in await asyncio.gather(*calls)} == {"ada"}
        await drain


async def test_a_message_that_is_too_large_is_refused(by: Implementation) -> None:
    """Before anybody looks into it."""
    async with serving(scripted(), by) as server, grpc.aio.insecure_channel(server.address) as peer:
        call: Any = peer.unary_unary(GET)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(bytes(MAX_MESSAGE + 1), metadata=(("authorization", f"Bearer {READ}"),))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_compressed_request_is_understood(by: Implementation) -> None:
    """Clients may compress what they send."""
    async with serving(scripted(), by) as server:
        options = [("grpc.default_compression_algorithm", grpc.Compression.Gzip)]
        async with grpc.aio.insecure_channel(server.address, options=options) as peer:
            request = responder_service_pb2.GetResponderRequest(responder_id="x" * 10_000)
            call: Any = peer.unary_unary(GET, response_deserializer=responder_pb2.Responder.FromString)
            answer = await call(request.SerializeToString(), metadata=(("authorization", f"Bearer {READ}"),))
    assert answer.responder_id == "ada"


async def test_a_method_that_does_not_exist_is_unimplemented(by: Implementation) -> None:
    """Of a service that exists, and of one that does not."""
    async with serving(scripted(), by) as server, grpc.aio.insecure_channel(server.address) as peer:
        for path in ("/tocsin.roster.v1.ResponderService/Nothing", "/no.Such/Thing"):
            call: Any = peer.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", metadata=(("authorization", f"Bearer {READ}"),))
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
