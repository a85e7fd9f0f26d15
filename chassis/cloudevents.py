"""CloudEvents 1.0 as NATS messages: written in binary mode, and read whatever arrives."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, UUID, uuid5

from nats.aio.msg import Msg

_PLAIN = re.compile(r"[!#$&-~]*")


def encode(value: str) -> str:
    """A header value as CloudEvents' NATS binding has it: space, quote, percent and non-ASCII percent-encoded."""
    return value if _PLAIN.fullmatch(value) else quote(value, safe="!#$&'()*+,/:;<=>?@[\\]^`{|}~")


class _Block(str):
    """Header lines that nats-py takes for the value of the first one and passes on as they are.

    It checks and strips every header of every message, which costs as much as all the rest of the relay.
    """

    __slots__ = ()

    def strip(self, _: str | None = None, /) -> "_Block":
        return self

    def translate(self, _: object, /) -> "_Block":
        return self


class Message(NamedTuple):
    """What is published: `lines` are the headers beside Nats-Msg-Id, encoded, one `name: value` each."""

    id: str
    subject: str
    lines: Sequence[str]
    data: bytes

    @property
    def headers(self) -> dict[str, str]:
        """All headers, as nats-py takes them."""
        return {"Nats-Msg-Id": _Block("\r\n".join((self.id, *self.lines)))}


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it arrived, headers decoded; `redelivered` counts the deliveries before this one."""

    id: UUID
    type: str
    subject: str
    data: bytes
    at: datetime | None
    headers: Mapping[str, str]
    redelivered: int

    @classmethod
    def read(cls, msg: Msg) -> "Received":
        """Reads any message: one that is not a CloudEvent gets an id made from its place in the stream, and its NATS
        subject as type, so that it can be buried without harm to its neighbours."""
        headers = {key: unquote(value).replace("\0", "\ufffd") for key, value in (msg.headers or {}).items()}
        place = msg.metadata
        try:
            event_id = UUID(headers["ce-id"])
        except (KeyError, ValueError):
            event_id = uuid5(NAMESPACE_URL, f"{place.stream}/{place.sequence.stream}")
        try:
            at = datetime.fromisoformat(headers["ce-time"])
        except (KeyError, ValueError):
            at = None
        event_type, subject = headers.get("ce-type", msg.subject), headers.get("ce-subject", "")
        return cls(event_id, event_type, subject, msg.data, at, headers, place.num_delivered - 1)
