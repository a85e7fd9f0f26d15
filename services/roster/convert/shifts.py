"""Shifts and overrides in protobuf."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis import validation, wire
from chassis.errors import Invalid, Problems
from chassis.ids import parse_uuid, uuid7
from services.roster.convert.responders import REQUEST_ID_LENGTH
from services.roster.domain.interval import Interval
from services.roster.domain.listing import Listed, listed
from services.roster.domain.schedule import DEFAULT
from services.roster.domain.shift import Filter, Override, Shift, Source
from tocsin.roster.v1 import schedule_pb2, shift_pb2, shift_service_pb2

LONGEST_WINDOW = timedelta(days=400)
SOURCES = {source: schedule_pb2.ShiftSource.Value.Value(source) for source in Source}


def new_shift(request: shift_service_pb2.CreateShiftRequest, problems: Problems) -> Shift:
    """The shift that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.shift
    if not draft.responder_id:
        problems.add("responder_id", "is required")
    starts_at, ends_at = _interval(draft, problems)
    return Shift(uuid7(), draft.schedule_id or DEFAULT, draft.responder_id, starts_at, ends_at)


def new_override(
    request: shift_service_pb2.CreateOverrideRequest, now: datetime, problems: Problems
) -> Override:
    """The override that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.override
    if draft.remove:
        if draft.responder_id:
            problems.add("responder_id", "must be empty when the override removes somebody")
        if not draft.replaced_responder_id:
            problems.add("replaced_responder_id", "is required when the override removes somebody")
    elif not draft.responder_id:
        problems.add("responder_id", "is required")
    elif draft.responder_id == draft.replaced_responder_id:
        problems.add("replaced_responder_id", "is the person who covers; want another, or none")
    starts_at, ends_at = _interval(draft, problems)
    return Override(
        override_id=uuid7(),
        schedule_id=draft.schedule_id or DEFAULT,
        responder_id=draft.responder_id or None,
        replaced_responder_id=draft.replaced_responder_id or None,
        starts_at=starts_at,
        ends_at=ends_at,
        created_at=now,
    )


def shift_to_wire(shift: Shift) -> shift_pb2.Shift:
    """An explicit shift as its message."""
    return listed_to_wire(listed(shift))


def listed_to_wire(shift: Listed) -> shift_pb2.Shift:
    """A shift of a list as its message."""
    return shift_pb2.Shift(
        shift_id=shift.shift_id,
        schedule_id=shift.schedule_id,
        responder_id=shift.responder_id,
        starts_at=wire.timestamp(shift.starts_at),
        ends_at=wire.timestamp(shift.ends_at),
        source=SOURCES[shift.source],
    )


def override_to_wire(override: Override) -> shift_pb2.Override:
    """An override as its message."""
    return shift_pb2.Override(
        override_id=str(override.override_id),
        schedule_id=override.schedule_id,
        responder_id=override.responder_id or "",
        replaced_responder_id=override.replaced_responder_id or "",
        starts_at=wire.timestamp(override.starts_at),
        ends_at=wire.timestamp(override.ends_at),
        created_at=wire.timestamp(override.created_at),
        remove=override.responder_id is None,
    )


def filters(
    request: shift_service_pb2.ListShiftsRequest | shift_service_pb2.ListOverridesRequest,
) -> Filter:
    """Which shifts or overrides a list asks for; raises Invalid when its end is not after its start."""
    start, end = wire.instant(request, "start"), wire.instant(request, "end")
    if start is not None and end is not None:
        problems = Problems()
        validation.interval(problems, start, end, names=("start", "end"))
        problems.check()
    return Filter(request.schedule_id, request.responder_id, start, end)


def computed_window(only: Filter) -> Interval | None:
    """The window in which computed shifts are listed too; None when the list has no window.

    Raises Invalid when it is longer than 400 days.
    """
    if only.start is None or only.end is None:
        return None
    problems = Problems()
    validation.interval(problems, only.start, only.end, names=("start", "end"), most=LONGEST_WINDOW)
    problems.check()
    return Interval(only.start, only.end)


def place(key: Sequence[str] | None) -> tuple[datetime, str, str, str] | None:
    """After which shift a page begins; raises Invalid for a token that no list of shifts has made."""
    return None if key is None else (_instant(key[0]), key[1], key[2], key[3])


def page_key(page: Sequence[Listed]) -> list[str]:
    """What `place` reads, of the last shift of a page."""
    return [
        part if isinstance(part, str) else part.isoformat() for shift in page[-1:] for part in shift.place()
    ]


def age(key: Sequence[str] | None) -> tuple[datetime, UUID] | None:
    """After which instant and id a page begins; raises Invalid for a token that no such list has made."""
    return None if key is None else (_instant(key[0]), parse_uuid(key[1], "page_token"))


def age_key(page: Sequence[Override]) -> list[str]:
    """What `age` reads, of the last override of a page."""
    return [part for o in page[-1:] for part in (o.created_at.isoformat(), str(o.override_id))]


def _instant(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise Invalid.field("page_token", "is not a token of this list") from None


def _interval(draft: shift_pb2.Shift | shift_pb2.Override, problems: Problems) -> tuple[datetime, datetime]:
    starts_at, ends_at = wire.instant(draft, "starts_at"), wire.instant(draft, "ends_at")
    validation.interval(problems, starts_at, ends_at)
    return starts_at or wire.EPOCH, ends_at or wire.EPOCH
