"""EMAIL and CHAT count once their person has said the code that was sent there."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.errors import DomainError, Exhausted, NotFound, Refused, Unavailable, Unimplemented
from services.notify.domain.verification import MOST_TRIES, PAUSE, VALID_FOR
from tests.service.notify.mailboxes import SENDER, Mailbox, a_mailbox, saying
from tests.service.notify.receivers import Receiver, status
from tests.service.notify.test_contact_methods import create, get, update, wrong
from tests.service.notify.world import World
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2, route_pb2

EMAIL, CHAT = contact_method_pb2.Channel.EMAIL, contact_method_pb2.Channel.CHAT
WEBHOOK = contact_method_pb2.Channel.WEBHOOK


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with a_mailbox() as box:
        yield box


@pytest.fixture
async def mailing(world: World, mailbox: Mailbox) -> World:
    """A world whose notify has a mail server."""
    await world.stop()
    await world.start(smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_security="none", smtp_sender=SENDER)
    return world


async def send_code(world: World, contact_method_id: str) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.SendContactMethodCode(
        contact_method_service_pb2.SendContactMethodCodeRequest(contact_method_id=contact_method_id)
    )


async def verify(world: World, contact_method_id: str, code: str) -> contact_method_pb2.ContactMethod:
    return await world.notify.methods.VerifyContactMethod(
        contact_method_service_pb2.VerifyContactMethodRequest(contact_method_id=contact_method_id, code=code)
    )


async def trial(world: World, contact_method_id: str) -> route_pb2.RouteLog:
    return await world.notify.methods.TestContactMethod(
        contact_method_service_pb2.TestContactMethodRequest(contact_method_id=contact_method_id)
    )


def code_in(text: str) -> str:
    found = re.search(r"\b\d{8}\b", text)
    assert found is not None
    return found[0]


def other(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


async def refusal(call: Any) -> str:
    with pytest.raises(DomainError) as caught:
        await call
    return caught.value.reason


async def test_mail_counts_after_its_code_was_said(mailing: World, mailbox: Mailbox) -> None:
    made = await create(mailing, channel=EMAIL, address="ada@home.example")
    assert (made.verified, made.secret) == (False, "")
    await mailing.page("alice")
    assert mailing.sql("select decision from route_logs where channel = 'EMAIL'") == [("UNVERIFIED",)]
    assert not (await send_code(mailing, made.contact_method_id)).verified
    (mail,) = await mailbox.got()
    assert mail.recipients == ["ada@home.example"]
    code = code_in(mail.part("plain"))
    assert "code" in await wrong(verify(mailing, made.contact_method_id, other(code)))
    assert (await verify(mailing, made.contact_method_id, f" {code} ")).verified
    assert (await verify(mailing, made.contact_method_id, "whatever")).verified, "said once is said"
    page = await mailing.page("alice", title="disk full")
    sent = await mailing.becomes(page, "SENT", channel=EMAIL)
    mail = (await mailbox.got(2))[1]
    assert mail.message["subject"] == "[CRITICAL] disk full"
    assert mail.message["message-id"] == f"<{sent.route_log_id}@pager.example>"
    assert page.alert.alert_id in mail.message["references"]
    assert "https://tocsin.example/api/alert/routes/" in mail.part("plain")


async def test_codes_are_few_short_lived_and_void_after_wrong_tries(mailing: World, mailbox: Mailbox) -> None:
    name = (await create(mailing, channel=EMAIL, address="ada@home.example")).contact_method_id
    assert await refusal(verify(mailing, name, "12345678")) == "NO_CODE_SENT"
    await send_code(mailing, name)
    code = code_in(mailbox.mails[0].part("plain"))
    with pytest.raises(Exhausted):
        await send_code(mailing, name)
    for _ in range(MOST_TRIES):
        assert await refusal(verify(mailing, name, other(code))) == "CODE_WRONG"
    assert await refusal(verify(mailing, name, code)) == "CODE_VOID"
    mailing.clock.advance(2 * PAUSE)
    await send_code(mailing, name)
    assert await refusal(verify(mailing, name, code)) in ("CODE_WRONG", "CODE_VOID")
    mailing.clock.advance(2 * VALID_FOR)
    assert await refusal(verify(mailing, name, code_in(mailbox.mails[1].part("plain")))) == "CODE_EXPIRED"
    (row,) = mailing.sql("select digest from verifications")
    assert code.encode() not in bytes(row[0])


async def test_a_new_address_must_be_confirmed_and_an_old_code_does_not(
    mailing: World, mailbox: Mailbox
) -> None:
    name = (await create(mailing, channel=EMAIL, address="ada@home.example")).contact_method_id
    await send_code(mailing, name)
    code = code_in(mailbox.mails[0].part("plain"))
    await update(mailing, name, "address", address="eve@evil.example")
    assert await refusal(verify(mailing, name, code)) == "CODE_WRONG"
    await update(mailing, name, "address", address="ada@home.example")
    assert (await verify(mailing, name, code)).verified
    assert (await update(mailing, name, "address", address="ada@home.example")).verified, "the same address"
    assert not (await update(mailing, name, "address", address="eve@evil.example")).verified


async def test_a_code_that_cannot_be_sent(mailing: World, mailbox: Mailbox) -> None:
    name = (await create(mailing, channel=EMAIL, address="ada@home.example")).contact_method_id
    mailbox.to_rcpt = saying("550 nobody of that name")
    with pytest.raises(Refused, match="nobody of that name"):
        await send_code(mailing, name)
    mailing.clock.advance(2 * PAUSE)
    mailbox.to_rcpt = saying("451 later")
    with pytest.raises(Unavailable):
        await send_code(mailing, name)


async def test_what_needs_no_code(mailing: World) -> None:
    name = (await create(mailing)).contact_method_id
    assert await refusal(send_code(mailing, name)) == "ALREADY_VERIFIED"
    assert (await verify(mailing, name, "1")).verified
    for call in (send_code(mailing, "nobody"), verify(mailing, "nobody", "1"), trial(mailing, "nobody")):
        with pytest.raises(NotFound):
            await call


async def test_wrong_mail_addresses_and_secrets_for_mail_are_named(mailing: World) -> None:
    found = await wrong(create(mailing, channel=EMAIL, address="ada\r\nbcc: x", secret="whsec_x"))
    assert set(found) == {"address", "secret"}
    assert "address" in await wrong(create(mailing, channel=EMAIL, address=""))


async def test_without_a_mail_server_there_is_no_mail(world: World) -> None:
    with pytest.raises(Unimplemented, match="EMAIL is not set up"):
        await create(world, channel=EMAIL, address="ada@home.example")


async def test_chat_addresses_are_sealed_and_shown_without_their_secrets(
    world: World, receiver: Receiver
) -> None:
    address = receiver.url.replace("http://", "ntfy://").replace("/hook", "/a-secret-topic")
    made = await create(world, channel=CHAT, address=address)
    assert re.fullmatch(r"ntfy://…[0-9a-f]{6}", made.address)
    name = made.contact_method_id
    await send_code(world, name)
    code = code_in(json.loads((await receiver.got())[0].body)["message"])
    assert (await verify(world, name, code)).verified
    assert (await update(world, name, "address", address=made.address)).verified, "sent back as it was read"
    page = await world.page("alice")
    sent = await world.becomes(page, "SENT", channel=CHAT)
    assert sent.address == made.address
    assert json.loads((await receiver.got(2))[1].body)["title"] == "[CRITICAL] disk full"
    for table in ("contact_methods", "route_logs", "outbox", "pages"):
        assert "a-secret-topic" not in str(world.sql(f"select row_to_json({table}) from {table}"))


async def test_a_provider_that_refuses_is_told_without_the_secret(world: World, receiver: Receiver) -> None:
    address = receiver.url.replace("http://", "ntfy://").replace("/hook", "/a-secret-topic")
    name = (await create(world, channel=CHAT, address=address)).contact_method_id
    receiver.always = status(403, body=b"no a-secret-topic for you")
    with pytest.raises(Refused) as caught:
        await send_code(world, name)
    assert "a-secret-topic" not in caught.value.message
    assert "HTTP 403" in caught.value.message


async def test_addresses_of_chat_that_are_not_taken(world: World) -> None:
    for address in ("file:///etc/passwd", "json://127.0.0.1/", "discord://", "nonsense", ""):
        assert set(await wrong(create(world, channel=CHAT, address=address))) == {"address"}


async def test_a_test_page_leaves_a_route_log_and_escalates_nothing(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver)
    route = await trial(world, made.contact_method_id)
    decisions = route_pb2.RouteLog.Decision
    assert (decisions.Name(route.decision), route.responder_id) == ("TEST", "alice")
    (hook,) = await receiver.got()
    assert hook.id == route.route_log_id
    assert hook.signed_with(made.secret)
    body = json.loads(hook.body)
    assert (body["type"], body["data"]["alert"]["title"]) == ("contact_method.test", "Test page from Tocsin")
    receiver.always = status(410)
    failing = await trial(world, made.contact_method_id)
    await world.route_becomes(failing.route_log_id, "FAILED")
    assert world.events("notification.exhausted") == []
    assert not (await get(world, made.contact_method_id)).enabled
    assert await refusal(trial(world, made.contact_method_id)) == "CONTACT_METHOD_DISABLED"


async def test_a_test_page_to_an_address_that_is_not_confirmed(mailing: World) -> None:
    name = (await create(mailing, channel=EMAIL, address="ada@home.example")).contact_method_id
    assert await refusal(trial(mailing, name)) == "CONTACT_METHOD_UNVERIFIED"
