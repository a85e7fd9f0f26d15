"""The words of e-mails and chat messages, by the templates in force."""

from collections.abc import Callable, Mapping

import structlog
from prometheus_client import Counter

from chassis.errors import Unavailable
from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Message
from services.notify.domain.template import Text
from services.notify.domain.wording import Template, worded

_log = structlog.get_logger()
_failures = Counter(
    "tocsin_template_failures_total", "Messages for which our words stood in.", ["channel", "part"]
)

Templates = Mapping[Channel, Template]


class Wording:
    """Gives messages their words; never fails."""

    def __init__(self, templates: Callable[[], Templates]) -> None:
        """`templates` are those in force; raising Unavailable means that they are not known yet."""
        self._templates = templates

    def writer(self, channel: Channel) -> Callable[[Message], Text]:
        """What gives the messages of a channel their words."""
        return lambda message: self._write(channel, message)

    def _write(self, channel: Channel, message: Message) -> Text:
        try:
            template = self._templates().get(channel)
        except Unavailable:
            template = None
        made = worded(template, channel, message)
        for part, problem in made.problems.items():
            _failures.labels(channel, part).inc()
            _log.warning(
                "template_failed",
                channel=channel,
                part=part,
                problem=problem,
                message_id=str(message.message_id),
            )
        return made.text
