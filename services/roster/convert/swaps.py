"""Swaps in protobuf."""

from collections.abc import Sequence
from datetime import datetime

from chassis import validation, wire
from chassis.errors import Invalid, Problems
from chassis.ids import uuid7
from services.roster.convert.responders import REQUEST_ID_LENGTH
from services.roster.convert.time_off import NOTE_LENGTH
from services.roster.domain.schedule import DEFAULT
from services.roster.domain.swap import State, Swap
from tocsin.roster.v1 import swap_pb2, swap_service_pb2

STATES: dict[int, State] = {swap_pb2.Swap.State.Value(state): state for state in State}


def new(
    request: swap_service_pb2.CreateSwapRequest, asker_id: str, now: datetime, problems: Problems
) -> Swap:
    """The swap that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.swap
    if draft.taker_id and draft.taker_id == asker_id:
        problems.add("taker_id", "is the person who asks; want another, or none")
    validation.text(problems, "note", draft.note, most=NOTE_LENGTH)
    starts_at, ends_at = _time(draft, ("starts_at", "ends_at"), now, problems)
    returned = _return_time(draft, now, problems)
    if starts_at and ends_at and returned and starts_at < returned[1] and returned[0] < ends_at:
        problems.add("return_starts_at", "shares time with what is to be taken over; want another time")
    return Swap(
        swap_id=uuid7(),
        schedule_id=draft.schedule_id or DEFAULT,
        asker_id=asker_id,
        taker_id=draft.taker_id or None,
        starts_at=starts_at or wire.EPOCH,
        ends_at=ends_at or wire.EPOCH,
        return_starts_at=returned[0] if returned else None,
        return_ends_at=returned[1] if returned else None,
        note=draft.note,
        state=State.ASKED,
        created_at=now,
        changed_at=now,
    )


def state(asked: int) -> State | None:
    """The state that a list asks for; None when it does not; raises Invalid for what is none."""
    if asked == swap_pb2.Swap.STATE_UNSPECIFIED:
        return None
    if asked not in STATES:
        raise Invalid.field("state", f"is not a state; want {', '.join(State)}")
    return STATES[asked]


def to_wire(swap: Swap) -> swap_pb2.Swap:
    """A swap as its message."""
    return swap_pb2.Swap(
        swap_id=str(swap.swap_id),
        schedule_id=swap.schedule_id,
        asker_id=swap.asker_id,
        taker_id=swap.taker_id or "",
        starts_at=wire.timestamp(swap.starts_at),
        ends_at=wire.timestamp(swap.ends_at),
        return_starts_at=wire.timestamp(swap.return_starts_at),
        return_ends_at=wire.timestamp(swap.return_ends_at),
        note=swap.note,
        state=swap_pb2.Swap.State.Value(swap.state),
        created_at=wire.timestamp(swap.created_at),
        changed_at=wire.timestamp(swap.changed_at),
        override_id=str(swap.override_id or ""),
        return_override_id=str(swap.return_override_id or ""),
    )


def page_key(page: Sequence[Swap]) -> list[str]:
    """After which swap the next page begins."""
    return [part for swap in page[-1:] for part in (swap.created_at.isoformat(), str(swap.swap_id))]


def _return_time(draft: swap_pb2.Swap, now: datetime, problems: Problems) -> tuple[datetime, datetime] | None:
    """The time that the asker takes over in exchange; None when there is no exchange, or it is wrong."""
    if not (draft.HasField("return_starts_at") or draft.HasField("return_ends_at")):
        return None
    start, end = _time(draft, ("return_starts_at", "return_ends_at"), now, problems)
    return None if start is None or end is None else (start, end)


def _time(
    draft: swap_pb2.Swap, names: tuple[str, str], now: datetime, problems: Problems
) -> tuple[datetime | None, datetime | None]:
    start, end = wire.instant(draft, names[0]), wire.instant(draft, names[1])
    validation.interval(problems, start, end, names=names)
    if start is not None and end is not None and start < end <= now:
        problems.add(names[1], "is past; want a time to come")
    return start, end
