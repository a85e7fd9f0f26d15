"""Time off in protobuf."""

from collections.abc import Sequence
from datetime import datetime

from chassis import validation, wire
from chassis.errors import Problems
from chassis.ids import uuid7
from services.roster.convert.responders import REQUEST_ID_LENGTH
from services.roster.domain.shift import Filter
from services.roster.domain.time_off import TimeOff
from tocsin.roster.v1 import time_off_pb2, time_off_service_pb2

NOTE_LENGTH = 1_000


def new(request: time_off_service_pb2.CreateTimeOffRequest, now: datetime, problems: Problems) -> TimeOff:
    """The time off that a request enters; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.time_off
    if not draft.responder_id:
        problems.add("responder_id", "is required")
    validation.text(problems, "note", draft.note, most=NOTE_LENGTH)
    starts_at, ends_at = wire.instant(draft, "starts_at"), wire.instant(draft, "ends_at")
    validation.interval(problems, starts_at, ends_at)
    return TimeOff(
        time_off_id=uuid7(),
        responder_id=draft.responder_id,
        starts_at=starts_at or wire.EPOCH,
        ends_at=ends_at or wire.EPOCH,
        note=draft.note,
        created_at=now,
    )


def to_wire(entry: TimeOff) -> time_off_pb2.TimeOff:
    """Time off as its message."""
    return time_off_pb2.TimeOff(
        time_off_id=str(entry.time_off_id),
        responder_id=entry.responder_id,
        starts_at=wire.timestamp(entry.starts_at),
        ends_at=wire.timestamp(entry.ends_at),
        note=entry.note,
        created_at=wire.timestamp(entry.created_at),
    )


def filters(request: time_off_service_pb2.ListTimeOffRequest) -> Filter:
    """Which time off a list asks for; raises Invalid when its end is not after its start."""
    start, end = wire.instant(request, "start"), wire.instant(request, "end")
    if start is not None and end is not None:
        problems = Problems()
        validation.interval(problems, start, end, names=("start", "end"))
        problems.check()
    return Filter(responder_id=request.responder_id, start=start, end=end)


def page_key(page: Sequence[TimeOff]) -> list[str]:
    """After which entry the next page begins."""
    return [part for entry in page[-1:] for part in (entry.starts_at.isoformat(), str(entry.time_off_id))]
