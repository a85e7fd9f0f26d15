"""Targets and whom they mean in protobuf."""

from collections.abc import Iterable
from datetime import datetime

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.message import Message

from chassis import validation, wire
from chassis.errors import Invalid
from services.roster.convert.shifts import SOURCES
from services.roster.domain.target import FORMS, Target, parse
from services.roster.domain.timeline import OnCall
from tocsin.roster.v1 import on_call_service_pb2

INVALID_TARGET = "INVALID_TARGET"


def target(text: str) -> Target:
    """Reads a target; raises Invalid when it has no known form."""
    read = parse(text)
    if read is None:
        raise Invalid.field("target", f"{text[:100]!r} is not a target; want {FORMS}", reason=INVALID_TARGET)
    return read


def at(request: Message, now: datetime) -> datetime:
    """The instant that a request asks about: its `at`, else now; raises Invalid outside 1970 to 2200."""
    instant = wire.instant(request, "at")
    if instant is None:
        return now
    if not validation.EARLIEST <= instant < validation.LATEST:
        raise Invalid.field("at", "is out of range; want a time between 1970 and 2200")
    return instant


def fill(
    responders: RepeatedCompositeFieldContainer[on_call_service_pb2.OnCallResponder], people: Iterable[OnCall]
) -> None:
    """Adds people on call as messages, made in place: of 2,000 schedules' people that saves milliseconds."""
    for responder_id, schedule_id, source, until in people:
        made = responders.add(responder_id=responder_id, schedule_id=schedule_id)
        if source is not None:
            made.shift_source = SOURCES[source]
        if until is not None:
            made.until.seconds, made.until.nanos = int(until.timestamp()), until.microsecond * 1000
