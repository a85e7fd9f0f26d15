"""The gate: keys that come, go and end while calls are under way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import pytest

from chassis.auth import Principal
from chassis.errors import Unauthenticated, Unavailable
from chassis.server import Server
from identity.config import IdentitySettings
from identity.gate import Gate
from identity.keys import ALPHABET, LENGTH, PREFIX, Held, Keys, hashed, new_secret

KEY = "k" * 40
ADA = Principal("ada", frozenset({"alerts:read"}), credential="ci")
WATCH = "/tests.Clock/Watch"


class Known:
    """Keys that a test gives and takes; `told` is set by whoever tells of others."""

    def __init__(self, *secrets: str) -> None:
        self.found: Keys | None = {hashed(secret): Held(ADA) for secret in secrets}
        self.told = asyncio.Event()
        self.used: list[str] = []

    @property
    def keys(self) -> Keys:
        if self.found is None:
            raise Unavailable("nobody has told", reason="KEYS_UNKNOWN")
        return self.found

    async def news(self, patience: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self.told.wait(), patience)

    def use(self, api_key_id: str) -> None:
        self.used.append(api_key_id)


def gate(known: Known) -> Gate:
    return Gate(IdentitySettings(token_key=KEY), keys=known)


def test_secrets_are_recognised_and_none_is_like_another() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    for secret in made:
        assert secret.startswith(PREFIX)
        assert len(secret) == len(PREFIX) + LENGTH
        assert set(secret.removeprefix(PREFIX)) <= set(ALPHABET)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_known_without_waiting_and_its_use_is_noted(scheme: str) -> None:
    known = Known(secret := new_secret())
    assert gate(known).known(f"{scheme} {secret}") is ADA
    assert known.used == ["ci"]


async def test_a_key_made_a_moment_ago_is_waited_for() -> None:
    known = Known()
    made = gate(known)
    header = f"Bearer {new_secret()}"
    assert made.known(header) is None
    asking = asyncio.create_task(made.check(header))
    await asyncio.sleep(0)
    known.found = {hashed(header.removeprefix("Bearer ")): Held(ADA)}
    known.told.set()
    assert await asking is ADA


async def test_what_is_no_key_of_ours_is_refused_and_what_cannot_be_known_is_unavailable() -> None:
    known = Known(new_secret())
    made = gate(known)
    for nothing in (f"Bearer {new_secret()}", f"Bearer {PREFIX}", f"Basic {new_secret()}", "Bearer", ""):
        with pytest.raises(Unauthenticated):
            pytest.fail(f"{nothing}: {made.known(nothing) or await made.check(nothing)}")
    known.found = None
    with pytest.raises(Unavailable):
        made.known(f"Bearer {new_secret()}")


@asynccontextmanager
async def watching(verifier: Gate, ticks: "asyncio.Queue[bytes]") -> AsyncIterator[Any]:
    """A stream that answers each tick."""

    async def watch(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        while True:
            yield await ticks.get()

    server = Server(listen="127.0.0.1:0", verifier=verifier, scopes={WATCH: "alerts:read"})
    handlers: dict[str, Any] = {
        "Watch": grpc.unary_stream_rpc_method_handler(watch, request_deserializer=bytes)
    }
    server.grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tests.Clock", handlers),))
    await server.grpc.start()
    try:
        async with grpc.aio.insecure_channel(server.address) as wire:
            yield wire.unary_stream(WATCH)
    finally:
        await server.grpc.stop(None)


async def test_a_stream_tells_a_revoked_key_nothing_more() -> None:
    known = Known(secret := new_secret())
    ticks: asyncio.Queue[bytes] = asyncio.Queue()
    async with watching(gate(known), ticks) as watch:
        call = watch(b"", metadata=(("authorization", f"Bearer {secret}"),))
        await ticks.put(b"one")
        assert await call.read() == b"one"
        known.found = {}
        await ticks.put(b"two")
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call.read()
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
