"""Webhooks to receivers that nobody has reason to trust: each attempt ends in time, and goes nowhere forbidden."""

import asyncio
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from chassis.ids import uuid7
from services.notify.channels.webhook import Webhooks
from services.notify.domain.contact_method import generated_secret
from services.notify.domain.delivery import Answer, Message, Rejected, Retry, Sent
from services.notify.domain.networks import Networks
from tests.fixtures.ports import PORTS
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, receiving, status

SECRET = generated_secret()
TLS = Path(__file__).parent / "tls"
LOOPBACK = ("127.0.0.0/8",)
SHORT, LONG = timedelta(seconds=0.6), timedelta(seconds=30)
AT = datetime(2026, 1, 1, tzinfo=UTC)
BODY = b'{"type":"alert.escalated","timestamp":"2026-01-01T00:00:00Z","data":{"level":1}}'


@asynccontextmanager
async def webhooks(allow: tuple[str, ...] = LOOPBACK, **values: Any) -> AsyncIterator[Webhooks]:
    channel = Webhooks(
        networks=Networks(allow), now=lambda: datetime.now(UTC), **{"deadline": LONG, **values}
    )
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


def a_message(address: str, secret: str = SECRET) -> Message:
    return Message(uuid7(), address, "alert.escalated", AT, {"level": 1}, secrets=(secret,))


def resolving(*answers: list[str]) -> tuple[Callable[[str, int, int], list[Any]], list[str]]:
    """A resolver that gives one answer after another, and the names that it was asked for."""
    asked: list[str] = []
    left = list(answers)

    def lookup(host: str, port: int, family: int) -> list[Any]:
        asked.append(host)
        addresses = left.pop(0) if len(left) > 1 else left[0]
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in addresses
        ]

    return lookup, asked


async def test_2xx_is_sent_and_the_connection_is_used_again(receiver: Receiver) -> None:
    receiver.script = [status(200), status(204), status(299, body=b"thanks")]
    async with webhooks() as channel:
        for _ in range(3):
            assert await channel.send(a_message(receiver.url)) == Sent()
    assert receiver.connections == 1
    assert all(hook.signed_with(SECRET) and hook.body == BODY for hook in receiver.hooks)
    assert receiver.hooks[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (status(500, body=b"out of\r\norder"), Retry("HTTP 500: out of order")),
        (status(404), Retry("HTTP 404")),
        (status(400), Retry("HTTP 400")),
        (status(429, "retry-after: 7"), Retry("HTTP 429", after=timedelta(seconds=7))),
        (status(503, "retry-after: soon"), Retry("HTTP 503")),
        (status(410), Rejected("HTTP 410", disable=True)),
    ],
)
async def test_what_is_not_2xx(receiver: Receiver, answer: receivers.Answer, expected: Answer) -> None:
    receiver.always = answer
    async with webhooks() as channel:
        assert await channel.send(a_message(receiver.url)) == expected


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(receiver: Receiver, code: int) -> None:
    async with receiving() as elsewhere, webhooks() as channel:
        receiver.always = status(code, f"location: {elsewhere.url}")
        answer = await channel.send(a_message(receiver.url))
    assert answer == Retry(f"HTTP {code}: redirects are not followed")
    assert elsewhere.connections == 0


@pytest.mark.parametrize("answer", [receivers.hang, receivers.drip_headers])
async def test_an_attempt_ends_at_its_deadline(receiver: Receiver, answer: receivers.Answer) -> None:
    receiver.always = answer
    async with webhooks(deadline=SHORT) as channel:
        started = asyncio.get_running_loop().time()
        assert await channel.send(a_message(receiver.url)) == Retry("no answer within 0.6 s", silent=True)
        assert asyncio.get_running_loop().time() - started < LONG.total_seconds() / 2


async def test_a_receiver_that_takes_the_connection_and_never_reads(receiver: Receiver) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        async with webhooks(deadline=SHORT) as channel:
            answer = await channel.send(a_message(f"http://127.0.0.1:{silent.getsockname()[1]}/"))
    assert answer == Retry("no answer within 0.6 s", silent=True)


@pytest.mark.parametrize("answer", [receivers.drip_body, receivers.flood_body])
async def test_a_body_without_end_is_not_waited_for(receiver: Receiver, answer: receivers.Answer) -> None:
    receiver.always = answer
    async with webhooks() as channel:
        started = asyncio.get_running_loop().time()
        found = await channel.send(a_message(receiver.url))
        assert asyncio.get_running_loop().time() - started < LONG.total_seconds() / 2
    assert isinstance(found, Retry)
    assert found.reason.startswith("HTTP 500: yyy")
    assert len(found.reason) < 300


async def test_thanks_without_end_are_not_waited_for(receiver: Receiver) -> None:
    receiver.always = receivers.drip_thanks
    async with webhooks() as channel:
        assert await channel.send(a_message(receiver.url)) == Sent()


async def test_interim_answers_without_end_end_at_the_deadline(receiver: Receiver) -> None:
    receiver.always = receivers.continue_for_ever
    async with webhooks(deadline=SHORT) as channel:
        found = await channel.send(a_message(receiver.url))
    assert isinstance(found, Retry)
    assert found.silent


async def test_a_packed_body_stays_packed(receiver: Receiver) -> None:
    receiver.always = receivers.bomb
    async with webhooks() as channel:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        found = await channel.send(a_message(receiver.url))
    assert isinstance(found, Retry)
    assert found.reason.startswith("HTTP 500")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, (
        "the receiver packs 64 MB itself"
    )


async def test_headers_without_end_are_refused(receiver: Receiver) -> None:
    receiver.always = receivers.flood_headers
    async with webhooks() as channel:
        found = await channel.send(a_message(receiver.url))
    assert isinstance(found, Retry)
    assert found.silent


async def test_memory_stays_flat_under_hostile_answers(receiver: Receiver) -> None:
    async with webhooks() as channel:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for answer in (receivers.flood_body, receivers.flood_headers):
            receiver.always = answer
            await asyncio.gather(*(channel.send(a_message(receiver.url)) for _ in range(8)))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, f"{grown} KiB, the receiver's own buffers included"


async def test_a_connection_that_is_cut(receiver: Receiver) -> None:
    receiver.always = receivers.reset
    async with webhooks() as channel:
        found = await channel.send(a_message(receiver.url))
    assert isinstance(found, Retry)
    assert found.silent


async def test_nobody_listens() -> None:
    async with webhooks() as channel:
        found = await channel.send(a_message(f"http://127.0.0.1:{PORTS.take()}/"))
    assert isinstance(found, Retry)
    assert found.reason.startswith("no connection: ")


async def test_a_name_that_does_not_resolve() -> None:
    def lookup(host: str, port: int, family: int) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with webhooks(lookup=lookup) as channel:
        found = await channel.send(a_message("http://nowhere.example/"))
    assert isinstance(found, Retry)
    assert "Name or service not known" in found.reason


def serving(name: str) -> ssl.SSLContext:
    """TLS with the key and self-signed certificate of that name, valid for a century."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / name)
    return context


async def test_a_certificate_that_nobody_vouches_for() -> None:
    async with receiving(serving("loopback.pem")) as tls, webhooks() as channel:
        found = await channel.send(a_message(tls.url))
        assert isinstance(found, Retry)
        assert found.reason.startswith("TLS: ")
        assert tls.hooks == []
    async with receiving(serving("loopback.pem")) as tls:
        trusting = ssl.create_default_context(cafile=str(TLS / "loopback.pem"))
        async with webhooks(tls=trusting) as channel:
            assert await channel.send(a_message(tls.url)) == Sent()


async def test_a_certificate_that_has_expired() -> None:
    authority, now = trustme.CA(), datetime.now(UTC)
    old = authority.issue_cert(
        "127.0.0.1", not_before=now - timedelta(days=9), not_after=now - timedelta(days=1)
    )
    serves, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    old.configure_cert(serves)
    authority.configure_trust(trusting)
    async with receiving(serves) as tls, webhooks(tls=trusting) as channel:
        found = await channel.send(a_message(tls.url))
        assert isinstance(found, Retry)
        assert "expired" in found.reason
        assert tls.hooks == []


async def test_a_handshake_that_never_ends() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1) as silent:
        async with webhooks(deadline=SHORT) as channel:
            found = await channel.send(a_message(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
    assert found == Retry("no answer within 0.6 s", silent=True)


async def test_a_certificate_for_another_name() -> None:
    async with receiving(serving("other.pem")) as tls:
        trusting = ssl.create_default_context(cafile=str(TLS / "other.pem"))
        async with webhooks(tls=trusting) as channel:
            found = await channel.send(a_message(tls.url))
    assert isinstance(found, Retry)
    assert found.reason.startswith("TLS: ")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0"],
)
async def test_no_way_to_write_loopback_gets_through(receiver: Receiver, host: str) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    async with webhooks(allow=()) as channel:
        found = await channel.send(a_message(f"http://{host}:{port}/"))
    assert isinstance(found, Rejected), found
    assert not found.disable
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "address", ["64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%lo", "::7f00:1", "169.254.169.254"]
)
async def test_a_name_that_leads_to_a_forbidden_address(address: str) -> None:
    lookup, _ = resolving([address])
    async with webhooks(lookup=lookup) as channel:
        found = await channel.send(a_message("http://innocent.example/"))
    assert isinstance(found, Rejected)


async def test_a_name_that_rebinds_is_judged_by_the_address_that_is_used(receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    url = f"http://rebinding.example:{port}/"
    lookup, asked = resolving(["127.0.0.1"], ["10.0.0.1"])
    async with webhooks(lookup=lookup) as channel:
        receiver.always = status(200, "connection: close")
        assert await channel.send(a_message(url)) == Sent()
        assert asked == ["rebinding.example"], "resolved once for the attempt"
        assert isinstance(await channel.send(a_message(url)), Rejected)
    assert receiver.connections == 1


async def test_of_several_addresses_only_allowed_ones_are_tried(receiver: Receiver) -> None:
    port = receiver.url.split(":")[2].split("/")[0]
    lookup, _ = resolving(["10.0.0.1", "127.0.0.1", "::1"])
    async with webhooks(lookup=lookup) as channel:
        assert await channel.send(a_message(f"http://many.example:{port}/")) == Sent()


async def test_a_method_without_a_key_sends_nothing(receiver: Receiver) -> None:
    async with webhooks() as channel:
        assert isinstance(await channel.send(a_message(receiver.url, secret="")), Rejected)
    assert receiver.connections == 0
