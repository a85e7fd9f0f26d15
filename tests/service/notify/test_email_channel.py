"""E-mail through a real SMTP server: what it holds, how it is protected, and what each refusal means."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from chassis.ids import uuid7
from services.notify.channels.email import Emails, Security, Server
from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Answer, Message, Rejected, Retry, Sent
from services.notify.domain.wording import worded
from tests.service.notify.mailboxes import Mailbox, a_mailbox, hanging, saying

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LINK = "https://tocsin.example/api/alert/routes/1:receipt?token=abc"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def serving(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@asynccontextmanager
async def emails(server: Server, **values: Any) -> AsyncIterator[Emails]:
    channel = Emails(server, write=lambda m: worded(None, Channel.EMAIL, m).text, now=lambda: NOW, **values)
    try:
        yield channel
    finally:
        await channel.close()


def a_message(address: str = "ada@home.example", **alert: Any) -> Message:
    data = {
        "alert": {
            "title": "disk full",
            "severity": "CRITICAL",
            "description": "db-1: 99 %",
            "labels": {},
            **alert,
        },
        "level": 1,
        "reason": "INITIAL",
        "receipt_url": LINK,
    }
    return Message(uuid7(), address, "alert.escalated", NOW, data, thread="alert-1")


async def sent(box: Mailbox, message: Message, **values: Any) -> Answer:
    async with emails(box.server(**values.pop("server", {})), **values) as channel:
        return await channel.send(message)


async def test_a_mail_holds_the_alert_as_text_and_html_and_the_link() -> None:
    async with a_mailbox() as box:
        message = a_message(title="Plattenplatz für <db>")
        assert await sent(box, message) == Sent()
    (mail,) = box.mails
    assert (mail.sender, mail.recipients) == ("tocsin@pager.example", ["ada@home.example"])
    assert mail.message["subject"] == "[CRITICAL] Plattenplatz für <db>"
    assert mail.message["from"] == "Tocsin <tocsin@pager.example>"
    assert mail.message["message-id"] == f"<{message.message_id}@pager.example>"
    assert mail.message["references"] == mail.message["in-reply-to"] == "<alert-1@pager.example>"
    assert "db-1: 99 %" in mail.part("plain")
    assert LINK in mail.part("plain")
    assert "Plattenplatz für &lt;db&gt;" in mail.part("html")
    assert f'href="{LINK}"' in mail.part("html")
    assert mail.raw.isascii()


async def test_a_mail_again_has_the_same_id_and_the_connection_is_used_again() -> None:
    async with a_mailbox() as box, emails(box.server()) as channel:
        message = a_message()
        assert await channel.send(message) == Sent()
        assert await channel.send(message) == Sent()
        assert box.connections == 1
    first, second = box.mails
    assert first.message["message-id"] == second.message["message-id"]


async def test_a_title_cannot_become_a_header() -> None:
    async with a_mailbox() as box:
        evil = "x\r\nBcc: eve@evil.example\r\n\r\nhello\0\x1b[31m"
        assert await sent(box, a_message(title=evil)) == Sent()
    (mail,) = box.mails
    assert mail.recipients == ["ada@home.example"]
    assert mail.message["bcc"] is None
    assert mail.message["subject"] == "[CRITICAL] x Bcc: eve@evil.example hello [31m"


@pytest.mark.parametrize(
    "address", ["ada", "a@b.example\r\nRCPT TO:<eve@evil.example>", "a@b@c", "<a@b.example>", ""]
)
async def test_an_address_that_is_none_is_rejected_before_anything_is_said(address: str) -> None:
    async with a_mailbox() as box:
        assert isinstance(await sent(box, a_message(address)), Rejected)
        assert box.connections == 0


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("550 5.1.1 nobody of that name", Rejected("the mail server says 550 5.1.1 nobody of that name")),
        ("451 4.7.1 greylisted", Retry("the mail server says 451 4.7.1 greylisted")),
    ],
)
async def test_what_is_said_of_a_recipient_or_a_mail(answer: str, expected: Answer) -> None:
    async with a_mailbox(to_rcpt=saying(answer)) as box:
        assert await sent(box, a_message()) == expected
    async with a_mailbox(to_data=saying(answer)) as box:
        assert await sent(box, a_message()) == expected


async def test_a_refusal_does_not_spoil_the_next_mail() -> None:
    answers = ["550 no", ""]

    async def said() -> str:
        return answers.pop(0)

    async with a_mailbox(to_rcpt=said) as box, emails(box.server()) as channel:
        assert isinstance(await channel.send(a_message()), Rejected)
        assert await channel.send(a_message()) == Sent()
        assert len(box.mails) == 1


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_starttls(authority: trustme.CA, tmp_path: Any) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with a_mailbox(starttls=serving(authority), users={"tocsin": "secret"}) as box:
        trusted = {
            "security": Security.STARTTLS, "ca_file": str(tmp_path / "ca.pem"), "username": "tocsin", "password": "secret",
        }  # fmt: skip
        assert await sent(box, a_message(), server=trusted) == Sent()
        assert [(mail.encrypted, mail.user) for mail in box.mails] == [(True, "tocsin")]
        nobody_vouches = await sent(box, a_message(), server={**trusted, "ca_file": ""})
        assert isinstance(nobody_vouches, Retry)
        assert "certificate" in nobody_vouches.reason.lower()
        in_the_clear = await sent(box, a_message(), server={"security": Security.NONE})
        assert isinstance(in_the_clear, Retry)
        assert len(box.mails) == 1


async def test_a_server_that_offers_no_starttls_gets_nothing() -> None:
    async with a_mailbox() as box:
        answer = await sent(box, a_message(), server={"security": Security.STARTTLS})
        assert isinstance(answer, Retry)
        assert box.mails == []


async def test_tls_from_the_start(authority: trustme.CA, tmp_path: Any) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusted = {"security": Security.TLS, "ca_file": str(tmp_path / "ca.pem")}
    async with a_mailbox(tls=serving(authority)) as box:
        assert await sent(box, a_message(), server=trusted) == Sent()
        assert box.mails[0].encrypted
    async with a_mailbox(tls=serving(authority, "other.example")) as box:
        answer = await sent(box, a_message(), server=trusted)
        assert isinstance(answer, Retry)
        assert box.mails == []


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
async def test_a_refused_login_is_tried_again_and_the_password_is_not_told() -> None:
    async with a_mailbox(users={"tocsin": "right"}) as box:
        answer = await sent(box, a_message(), server={"username": "tocsin", "password": "wrong-secret"})
    assert isinstance(answer, Retry)
    assert answer.reason.startswith("the mail server refuses the login: 535")
    assert "wrong-secret" not in repr(answer) + repr(box.server(password="wrong-secret"))


async def test_a_server_that_hangs_costs_the_deadline_and_no_more() -> None:
    async with a_mailbox(to_data=hanging) as box:
        started = asyncio.get_running_loop().time()
        answer = await sent(box, a_message(), deadline=timedelta(seconds=0.5))
        assert answer == Retry("no answer within 0.5 s", silent=True)
        assert asyncio.get_running_loop().time() - started < 5


async def test_a_connection_that_is_cut_and_one_that_nobody_answers() -> None:
    async with a_mailbox() as box:

        async def cut() -> str:
            box.cut()
            return ""

        box.to_data = cut
        answer = await sent(box, a_message())
        assert isinstance(answer, Retry)
        assert answer.silent
    gone = await sent(box, a_message())
    assert isinstance(gone, Retry)
    assert gone.silent


async def test_a_kept_connection_that_the_server_has_closed_is_not_missed() -> None:
    async with a_mailbox() as box, emails(box.server()) as channel:
        assert await channel.send(a_message()) == Sent()
        box.cut()
        assert await channel.send(a_message()) == Sent()
        assert box.connections == 2


async def test_no_more_connections_than_allowed() -> None:
    async with a_mailbox() as box, emails(box.server(), connections=2) as channel:
        answers = await asyncio.gather(*(channel.send(a_message()) for _ in range(20)))
        assert answers == [Sent()] * 20
        assert box.connections == 2
