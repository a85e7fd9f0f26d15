"""MessageTemplateService: how messages are worded."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from google.protobuf import empty_pb2

from chassis import wire
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Problems
from chassis.server import Context
from identity.audit import audited
from services.notify import convert
from services.notify.domain import wording
from services.notify.domain.contact_method import Channel
from services.notify.domain.wording import PARTS, WORDED, Template, Worded
from services.notify.storage import message_templates
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import template_pb2, template_service_pb2, template_service_pb2_grpc


class MessageTemplateApi(template_service_pb2_grpc.MessageTemplateServiceServicer):
    """Reads, changes and previews templates."""

    def __init__(self, *, db: Database, clock: Clock, changed: Callable[[], Awaitable[None]]) -> None:
        """`changed` is awaited after each commit, so that the next message has the new words."""
        self._db = db
        self._clock = clock
        self._changed = changed

    async def GetMessageTemplate(
        self, request: template_service_pb2.GetMessageTemplateRequest, _: Context
    ) -> template_pb2.MessageTemplate:
        """The template of a channel, ours where nobody has changed it."""
        channel = _channel(request.channel, "channel")
        async with self._db.connect() as conn:
            known = await message_templates.every(conn)
        return convert.message_template(_effective(known.get(channel), channel))

    async def ListMessageTemplates(
        self, _: template_service_pb2.ListMessageTemplatesRequest, __: Context
    ) -> template_service_pb2.ListMessageTemplatesResponse:
        """Both of them."""
        async with self._db.connect() as conn:
            known = await message_templates.every(conn)
        return template_service_pb2.ListMessageTemplatesResponse(
            message_templates=[convert.message_template(_effective(known.get(c), c)) for c in WORDED]
        )

    async def UpdateMessageTemplate(
        self, request: template_service_pb2.UpdateMessageTemplateRequest, _: Context
    ) -> template_pb2.MessageTemplate:
        """The changed template."""
        message, problems = request.message_template, Problems()
        channel = _channel(message.channel, "channel")
        named = wire.changed(request.update_mask, message, (*PARTS, "channel"), problems) - {"channel"}
        problems.check()
        async with audited(self._db) as conn:
            known = (await message_templates.every(conn, lock=True)).get(channel) or Template(
                channel, "", "", ""
            )
            template = replace(
                known, updated_at=self._clock.now(), **{part: getattr(message, part) for part in named}
            )
            _checked(template, alert_pb2.Alert())
            await message_templates.put(conn, template)
        await self._changed()
        return convert.message_template(_effective(template, channel))

    async def DeleteMessageTemplate(
        self, request: template_service_pb2.DeleteMessageTemplateRequest, _: Context
    ) -> empty_pb2.Empty:
        """Goes back to ours."""
        channel = _channel(request.channel, "channel")
        async with audited(self._db) as conn:
            await message_templates.remove(conn, channel)
        await self._changed()
        return empty_pb2.Empty()

    async def PreviewMessageTemplate(
        self, request: template_service_pb2.PreviewMessageTemplateRequest, _: Context
    ) -> template_service_pb2.PreviewMessageTemplateResponse:
        """The words of an alert."""
        message = request.message_template
        channel = _channel(message.channel, "message_template.channel")
        template = Template(channel, message.title, message.body, message.html)
        text = _checked(template, request.alert, "message_template.").text
        return template_service_pb2.PreviewMessageTemplateResponse(
            title=text.title, body=text.body, html=text.html
        )


def _channel(value: int, path: str) -> Channel:
    problems = Problems()
    channel = convert.channel(value, path, problems)
    if channel not in WORDED and not problems.found:
        problems.add(path, f"has no template; want {' or '.join(WORDED)}")
    problems.check()
    assert channel is not None
    return channel


def _effective(known: Template | None, channel: Channel) -> Template:
    """A template with ours for the parts that are empty."""
    ours = wording.default(channel)
    if known is None:
        return ours
    return replace(known, **{part: getattr(known, part) or getattr(ours, part) for part in PARTS})


def _checked(template: Template, alert: alert_pb2.Alert, prefix: str = "") -> Worded:
    """What a template makes of an alert; raises Invalid with each part that fails."""
    problems = Problems()
    if template.html and template.channel is Channel.CHAT:
        problems.add(f"{prefix}html", "is for e-mails; CHAT has none")
    made = wording.checked(template, convert.sample(alert))
    for part, problem in made.problems.items():
        problems.add(prefix + part, problem)
    problems.check()
    return made
