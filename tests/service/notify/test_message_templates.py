"""Templates: shown, changed, previewed, refused with the line that is wrong, and never the reason why a page is lost."""

import json
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver
from tests.service.notify.test_contact_methods import create, wrong
from tests.service.notify.test_verification import code_in, send_code, verify
from tests.service.notify.world import Replica, World
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import contact_method_pb2, template_pb2, template_service_pb2

EMAIL, CHAT = contact_method_pb2.Channel.EMAIL, contact_method_pb2.Channel.CHAT
WEBHOOK = contact_method_pb2.Channel.WEBHOOK


async def change(world: World, *mask: str, channel: Any = CHAT, **parts: Any) -> template_pb2.MessageTemplate:
    return await world.notify.templates.UpdateMessageTemplate(
        template_service_pb2.UpdateMessageTemplateRequest(
            message_template=template_pb2.MessageTemplate(channel=channel, **parts),
            update_mask=FieldMask(paths=mask),
        )
    )


async def read(world: World, channel: Any = CHAT) -> template_pb2.MessageTemplate:
    return await world.notify.templates.GetMessageTemplate(
        template_service_pb2.GetMessageTemplateRequest(channel=channel)
    )


async def preview(
    world: World, *, alert: alert_pb2.Alert | None = None, channel: Any = CHAT, **parts: Any
) -> template_service_pb2.PreviewMessageTemplateResponse:
    return await world.notify.templates.PreviewMessageTemplate(
        template_service_pb2.PreviewMessageTemplateRequest(
            message_template=template_pb2.MessageTemplate(channel=channel, **parts), alert=alert
        )
    )


async def chat(world: World, receiver: Receiver) -> None:
    """Gives alice a confirmed way by a provider that the receiver plays."""
    address = receiver.url.replace("http://", "ntfy://").replace("/hook", "/alerts")
    name = (await create(world, channel=CHAT, address=address)).contact_method_id
    await send_code(world, name)
    await verify(world, name, code_in(json.loads((await receiver.got())[0].body)["message"]))
    receiver.hooks.clear()


async def test_ours_until_somebody_changes_it_and_again_when_it_is_deleted(world: World) -> None:
    ours = await read(world)
    assert "{{ alert.title }}" in ours.title
    assert not ours.HasField("updated_at")
    changed = await change(world, title="{{ alert.title|upper }}")
    assert changed.title == "{{ alert.title|upper }}"
    assert changed.body == ours.body
    assert changed.HasField("updated_at")
    assert await read(world) == changed
    listed = await world.notify.templates.ListMessageTemplates(
        template_service_pb2.ListMessageTemplatesRequest()
    )
    assert [one.channel for one in listed.message_templates] == [EMAIL, CHAT]
    assert listed.message_templates[1] == changed
    for _ in range(2):
        await world.notify.templates.DeleteMessageTemplate(
            template_service_pb2.DeleteMessageTemplateRequest(channel=CHAT)
        )
    assert await read(world) == ours


async def test_a_preview_shows_words_and_changes_nothing(world: World) -> None:
    sample = await preview(world, title="{{ alert.labels.host }}: {{ alert.title|truncate(5) }}")
    assert sample.title == "db-1: Disk…"
    alert = alert_pb2.Alert(title="<b>", severity=alert_pb2.Severity.HIGH, labels={"team": "net"})
    shown = await preview(
        world,
        alert=alert,
        channel=EMAIL,
        body="{% for name, value in alert.labels|items %}{{ name }}={{ value }}{% endfor %}",
        html="<p>{{ alert.title }}</p>",
    )
    assert (shown.title, shown.body, shown.html) == ("[HIGH] <b>", "team=net", "<p>&lt;b&gt;</p>")
    assert not (await read(world)).HasField("updated_at")


async def test_every_wrong_part_is_named_with_its_line(world: World) -> None:
    found = await wrong(
        change(world, channel=EMAIL, title="{{ alrt.title }}", body="\n{{", html="a\n{{ alert.nope }}")
    )
    assert found == {
        "title": "line 1: 'alrt' is undefined",
        "body": "line 2: unexpected 'end of template'",
        "html": "line 2: there is no 'nope' here",
    }
    assert "message_template.title" in await wrong(preview(world, title="{{ ''.__class__ }}"))
    assert "html" in await wrong(change(world, html="<p>"))
    assert not (await read(world, EMAIL)).HasField("updated_at")


async def test_channels_without_a_template(world: World) -> None:
    for channel in (WEBHOOK, contact_method_pb2.Channel.IN_APP, 0, 99):
        assert "channel" in await wrong(read(world, channel))
    assert "update_mask" in await wrong(change(world, "colour"))


async def test_a_page_has_the_words_that_are_in_force(world: World, receiver: Receiver) -> None:
    await chat(world, receiver)
    await change(world, title="{{ alert.severity }}!", body="{{ alert.title }} on {{ alert.labels.host }}")
    await world.page("alice")
    said = json.loads((await receiver.got())[0].body)
    assert (said["title"], said["message"]) == ("CRITICAL!", "disk full on db-1")


async def test_another_replica_has_new_words_soon(world: World, receiver: Receiver) -> None:
    await chat(world, receiver)
    other = await world.start()
    await other.templates.UpdateMessageTemplate(
        template_service_pb2.UpdateMessageTemplateRequest(
            message_template=template_pb2.MessageTemplate(channel=CHAT, title="new words")
        )
    )
    await _until_said(world, other, receiver, "title", "new words")


async def test_a_template_that_fails_costs_no_page(world: World, receiver: Receiver) -> None:
    await chat(world, receiver)
    fails = "{% if alert.title == 'disk full' %}{{ alert.description.nothing }}{% endif %}fine"
    await change(world, title=fails, body="{{ alert.title }}: my words")
    await world.page("alice")
    said = json.loads((await receiver.got())[0].body)
    assert (said["title"], said["message"]) == ("[CRITICAL] disk full", "disk full: my words")
    world.sql("update message_templates set body = '{{'")  # as no request could
    await _until_said(world, world.notify, receiver, "message", "Severity: CRITICAL")


async def _until_said(world: World, replica: Replica, receiver: Receiver, part: str, words: str) -> None:
    """Pages until a message has the words: templates are looked at once a second, and at once when they change."""

    async def said() -> bool:
        before = len(receiver.hooks)
        await world.page("alice", replica=replica)
        hooks = await receiver.got(before + 1)
        assert words in json.loads(hooks[-1].body)[part]
        return True

    await eventually(said)
