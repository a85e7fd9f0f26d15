"""Chat providers by Apprise, and what it must not be able to do: reach inside, hang, or read without end."""

import asyncio
import inspect
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from chassis.ids import uuid7
from services.notify.channels.chat import Chats
from services.notify.domain.chat import PROVIDERS, address_problem, shown, without_secrets
from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Message, Rejected, Retry, Sent
from services.notify.domain.networks import Networks
from services.notify.domain.wording import worded
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, receiving, status

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WEBHOOK_ID, TOKEN = "123456789012345678", "abcdefghijklmnopqrstuvwxyz0123456789"
DISCORD = f"discord://{WEBHOOK_ID}/{TOKEN}"


@asynccontextmanager
async def chats(allow: tuple[str, ...] = ("127.0.0.0/8",), **values: Any) -> AsyncIterator[Chats]:
    channel = Chats(
        networks=Networks(allow),
        write=lambda m: worded(None, Channel.CHAT, m).text,
        now=lambda: NOW,
        **{"deadline": timedelta(seconds=30), **values},
    )
    await channel.open()
    try:
        yield channel
    finally:
        await channel.close()


def a_message(address: str) -> Message:
    alert = {"title": "disk full", "severity": "CRITICAL", "description": "99 %", "labels": {"host": "db-1"}}
    data = {"alert": alert, "level": 1, "reason": "INITIAL", "receipt_url": "https://tocsin.example/r"}
    return Message(uuid7(), address, "alert.escalated", NOW, data)


def at(receiver: Receiver, scheme: str = "gotify", rest: str = "a-token-of-gotify") -> str:
    return receiver.url.replace("http://", f"{scheme}://").replace("/hook", f"/{rest}")


async def test_a_message_goes_to_the_provider(receiver: Receiver) -> None:
    async with chats() as channel:
        assert await channel.send(a_message(at(receiver, "ntfy", "alerts"))) == Sent()
    (hook,) = receiver.hooks
    said = json.loads(hook.body)
    assert said["title"] == "[CRITICAL] disk full"
    assert "Take it: https://tocsin.example/r" in said["message"]
    assert "host=db-1" in said["message"]


async def test_a_provider_on_the_internet_by_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("discord.com").configure_cert(context)
    async with receiving(context) as provider:
        provider.always = status(204)
        port = int(provider.url.split(":")[2].split("/")[0])
        asked: list[tuple[str, int]] = []

        def lookup(host: str, wanted: int, family: int) -> list[Any]:
            asked.append((host, wanted))
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        async with chats(lookup=lookup) as channel:
            distrusted = await channel.send(a_message(DISCORD))
            assert isinstance(distrusted, Retry)
            assert "CERTIFICATE_VERIFY_FAILED" in distrusted.reason
            assert TOKEN not in distrusted.reason
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
            assert await channel.send(a_message(DISCORD)) == Sent()
        assert asked == [("discord.com", 443)] * 2
        assert "[CRITICAL] disk full" in provider.hooks[0].body.decode()


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (
            status(401, body=b'{"error":"no such a-token-of-gotify"}'),
            Rejected,
            'HTTP 401: {"error":"no such …"}',
        ),
        (status(404), Rejected, "HTTP 404"),
        (status(500, body=b"out of\r\norder"), Retry, "HTTP 500: out of order"),
        (status(302, "location: http://169.254.169.254/"), Rejected, "HTTP 302"),
    ],
)
async def test_what_is_not_taken(
    receiver: Receiver, answer: receivers.Answer, kind: type, reason: str
) -> None:
    receiver.always = answer
    async with chats() as channel:
        found = await channel.send(a_message(at(receiver)))
    assert isinstance(found, Rejected | Retry)
    assert (type(found), found.reason) == (kind, reason)


async def test_a_provider_that_asks_for_a_pause(receiver: Receiver) -> None:
    receiver.always = status(429, "retry-after: 7")
    async with chats() as channel:
        found = await channel.send(a_message(at(receiver)))
    assert found == Retry("HTTP 429", after=timedelta(seconds=7))


@pytest.mark.parametrize(
    "answer", [receivers.hang, receivers.drip_headers, receivers.drip_body, receivers.reset]
)
async def test_a_provider_that_hangs_is_cut_and_its_thread_goes_on(
    receiver: Receiver, answer: receivers.Answer
) -> None:
    receiver.always = answer
    async with chats(deadline=timedelta(seconds=0.6), threads=1) as channel:
        started = asyncio.get_running_loop().time()
        found = await channel.send(a_message(at(receiver)))
        assert isinstance(found, Retry)
        assert asyncio.get_running_loop().time() - started < 4
        receiver.always = status(200)
        async with asyncio.timeout(20):
            while await channel.send(a_message(at(receiver))) != Sent():  # the one thread is free again
                pass


async def test_a_body_without_end_is_read_a_little_of(receiver: Receiver) -> None:
    receiver.always = receivers.flood_body
    async with chats() as channel:
        found = await channel.send(a_message(at(receiver)))
    assert isinstance(found, Retry)
    assert found.reason.startswith("HTTP 500: yyy")
    assert len(found.reason) <= 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_no_way_inside(receiver: Receiver, host: str) -> None:
    address = at(receiver).replace("127.0.0.1", host)
    async with chats(allow=()) as channel:
        found = await channel.send(a_message(address))
    assert isinstance(found, Rejected | Retry)
    assert receiver.connections == 0


async def test_a_name_that_leads_inside_is_refused_and_an_allowed_address_is_the_one_used(
    receiver: Receiver,
) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])
    answers = [["10.0.0.1"], ["10.0.0.1", "127.0.0.1"]]

    def lookup(host: str, wanted: int, family: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, wanted)) for a in answers.pop(0)]

    async with chats(lookup=lookup) as channel:
        address = f"gotify://innocent.example:{port}/a-token-of-gotify"
        assert await channel.send(a_message(address)) == Rejected("the address is not allowed: private")
        assert await channel.send(a_message(address)) == Sent()
    assert receiver.connections == 1


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd", "syslog://", "dbus://", "json://127.0.0.1/", "apprise://host/token", "mailto://a:b@c.example",
        "macosx://", "mqtt://host/topic", "slack", "", "slack:// a", "gotify://h.example/token?verify=no",
        "tgram://123:abc/1?template=/etc/passwd", "discord://1/2?-redirect=yes", "sns://a/b/c?keyfile=/etc/passwd",
    ],
)  # fmt: skip
async def test_addresses_that_are_refused(address: str) -> None:
    assert address_problem(address)
    async with chats() as channel:
        assert await channel.problem(address)
        assert isinstance(await channel.send(a_message(address)), Rejected)


@pytest.mark.parametrize(
    ("address", "good"),
    [
        (DISCORD, True),
        ("https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz0123456789", True),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", True),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", True),
        ("discord://", False),
        ("https://example.org/hook", False),
        ("tgram://nonsense", False),
    ],
)
async def test_the_library_judges_addresses_without_asking_anybody(address: str, good: bool) -> None:
    async with chats(allow=(), lookup=lambda *_: pytest.fail("a name was asked for")) as channel:
        assert (await channel.problem(address) == "") is good


def test_every_provider_exists_and_speaks_http_alone() -> None:
    """Another version of Apprise may make one do more: then it must be looked at."""
    from apprise.manager_plugins import NotificationManager

    plugins: Any = NotificationManager()  # type: ignore[no-untyped-call]
    known = set(plugins.schemas())
    assert known >= PROVIDERS
    for scheme in PROVIDERS:
        sources = [
            inspect.getsource(sys.modules[kind.__module__])
            for kind in type.mro(plugins[scheme])
            if kind.__module__.startswith("apprise.plugins.") and not kind.__module__.endswith("plugins.base")
        ]
        assert any("requests" in source for source in sources), scheme
        for source in sources:
            for word in (
                "import socket",
                "smtplib",
                "subprocess",
                "paho",
                "slixmpp",
                "import dbus",
                "keyfile",
            ):
                assert word not in source, f"{scheme}: {word}"


def test_an_address_is_shown_without_its_secrets() -> None:
    def digest(text: str) -> bytes:
        return bytes([len(text), 1, 2, 3])

    assert shown(DISCORD, digest) == "discord://…410102"
    assert without_secrets(f"no {TOKEN} for {WEBHOOK_ID} at discord", DISCORD) == "no … for … at discord"


async def test_of_several_addresses_a_forbidden_one_is_not_tried(receiver: Receiver) -> None:
    port = int(receiver.url.split(":")[2].split("/")[0])

    def lookup(host: str, wanted: int, family: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, wanted)) for a in ("127.0.0.1", "127.0.0.2")]

    async with chats(allow=("127.0.0.2/32",), lookup=lookup) as channel:
        found = await channel.send(a_message(f"gotify://many.example:{port}/a-token-of-gotify"))
    assert isinstance(found, Retry)  # nobody listens at the one that is allowed
    assert receiver.connections == 0
