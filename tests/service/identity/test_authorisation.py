"""The matrix: every method of every service with every scope, and with everything that is no credential."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import grpc
import pytest

from chassis.auth import mint
from chassis.errors import from_rpc
from identity.scopes import GRANTABLE, SCOPES
from services.gateway import contract
from services.gateway.contract import Rule
from tests.fixtures.eventually import eventually
from tests.service.identity.world import KEY, Installation
from tocsin.options.v1 import options_pb2

OPEN = {
    "/tocsin.escalation.v1.IntegrationService/IngestSignals",  # by routing key
    "/tocsin.notify.v1.RouteService/RecordReceipt",  # by signed link, or with receipts:write
}
"""The methods that ask for no scope, and what they ask for instead."""
AT_ONCE = 128
ADMITTED, REFUSED, UNKNOWN = "admitted", "PERMISSION_DENIED", "UNAUTHENTICATED"


@dataclass(frozen=True)
class Method:
    """A method of ours, and the scope that its proto names."""

    path: str
    context: str
    scope: str
    streams: bool

    def expected(self, scope: str) -> str:
        """What becomes of a caller with this scope alone."""
        return ADMITTED if self.scope in ("", scope) or scope == "admin" else REFUSED


def methods() -> Iterator[Method]:
    """Every method of every service."""
    for service in contract.load().services:
        for method in service.methods:
            yield Method(
                f"/{service.full_name}/{method.name}",
                service.full_name.split(".")[1],
                method.GetOptions().Extensions[options_pb2.scope],
                method.server_streaming,
            )


@pytest.fixture
async def everything(installation: Installation) -> Installation:
    await installation.start("roster", "escalation", "notify", "sla", "gateway")
    return installation


async def outcome(installation: Installation, method: Method, token: str | None, *, patience: float) -> str:
    """Whether a call without content gets past the gate, or how it is refused there.

    A stream that tells nothing for `patience` seconds has let the caller in: more of them where none should be let in.
    """
    wire = installation.channel(method.context, "")
    metadata = () if token is None else (("authorization", f"Bearer {token}"),)
    call: Any = (wire.unary_stream if method.streams else wire.unary_unary)(method.path)
    try:
        if method.streams:
            await asyncio.wait_for(call(b"", metadata=metadata).read(), patience)
        else:
            await call(b"", metadata=metadata, timeout=30)
    except TimeoutError:
        pass  # it is let in, and has nothing to tell
    except grpc.aio.AioRpcError as error:
        return _at_the_gate(error.code(), from_rpc(error).reason)
    except Exception as error:  # unary failures are ours already
        return _at_the_gate(error.code, error.reason)  # type: ignore[attr-defined]
    return ADMITTED


def _at_the_gate(code: grpc.StatusCode, reason: str) -> str:
    if code is grpc.StatusCode.PERMISSION_DENIED:
        assert reason == "SCOPE_REQUIRED", reason
        return REFUSED
    return UNKNOWN if code is grpc.StatusCode.UNAUTHENTICATED else ADMITTED


async def in_turn(calls: Iterable[Callable[[], Awaitable[None]]]) -> None:
    """Makes the calls, some at a time."""
    waiting = iter(calls)
    while some := [*islice(waiting, AT_ONCE)]:
        await asyncio.gather(*(call() for call in some))


async def test_every_method_with_every_scope(everything: Installation) -> None:
    wrong: list[str] = []

    async def check(method: Method, scope: str, token: str) -> None:
        patience = 3 if method.expected(scope) == ADMITTED else 30
        found = await outcome(everything, method, token, patience=patience)
        # What is let in may look for more: RecordReceipt refuses by itself who has neither link nor scope.
        if found != method.expected(scope) and method.path not in OPEN:
            wrong.append(f"{method.path} with {scope or 'no scope'}: {found}")

    tokens = {scope: mint(KEY, subject="ada", scopes=[scope] if scope else []) for scope in ("", *SCOPES)}
    await in_turn(
        lambda method=method, scope=scope, token=token: check(method, scope, token)  # type: ignore[misc]
        for method in methods()
        for scope, token in tokens.items()
    )
    assert wrong == []


async def test_no_method_takes_what_is_no_credential(everything: Installation) -> None:
    root = everything.token("admin")
    revoked = await everything.key("admin")
    soon = datetime.now(UTC) + timedelta(seconds=4)
    expired = await everything.key("admin", expires_at=soon.isoformat())
    await everything.call("DELETE", f"/api-keys/{revoked['api_key_id']}", token=root)
    credentials = {
        "nothing": None,
        "a forged token": mint("another key, just as long as ours is", subject="ada", scopes=["admin"]),
        "a token that has expired": mint(KEY, subject="ada", scopes=["admin"], ttl=timedelta(seconds=-1)),
        "a revoked key": revoked["secret"],
        "an expired key": expired["secret"],
        "a key that never was": "tocsin_" + "0" * 43,
    }
    wrong: list[str] = []

    async def check(method: Method, what: str, credential: str | None) -> None:
        found = await outcome(everything, method, credential, patience=30)
        if found != UNKNOWN and not (what == "nothing" and method.path in OPEN):
            wrong.append(f"{method.path} with {what}: {found}")

    async def over() -> bool:
        answer = await everything.call("GET", "/oncall/teams", token=expired["secret"])
        return answer.status == 401

    await eventually(over)
    await in_turn(
        lambda method=method, what=what, credential=credential: check(method, what, credential)  # type: ignore[misc]
        for method in methods()
        for what, credential in credentials.items()
    )
    assert wrong == []


async def test_the_gateway_asks_for_the_same(everything: Installation) -> None:
    wrong: list[str] = []

    async def check(rule: Rule) -> None:
        path = rule.template.text.removeprefix("/api/alert")
        for variable in rule.template.variables:
            path = path.replace(f"{{{variable}}}", "x")
        scope = next(one for one in sorted(GRANTABLE - {"admin"}) if one != rule.scope)
        for token, status in (("", 401), (everything.token(scope), 403)):
            answer = await everything.call(rule.verb, path, {} if rule.body else None, token=token)
            if answer.status != status:
                wrong.append(f"{rule.verb} {path}: {answer.status} and not {status}")

    rules = [rule for rule in contract.load().rules if rule.call not in OPEN]
    await in_turn(lambda rule=rule: check(rule) for rule in rules)  # type: ignore[misc]
    assert wrong == []
