"""Swaps: what each verb makes of one, who may say it, and the overrides of an agreement."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from chassis.errors import Denied, Refused
from services.roster.domain.shift import Override


class State(StrEnum):
    """How far a swap is."""

    ASKED = "ASKED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    UNDONE = "UNDONE"


OPEN = frozenset({State.ASKED, State.OFFERED})
"""The states in which an agreement may still be reached."""


@dataclass(frozen=True, slots=True)
class By:
    """Who moves a swap; `admin` may speak for either party."""

    responder_id: str
    admin: bool = False

    def is_one_of(self, *parties: str | None) -> bool:
        """Whether it may speak for one of them."""
        return self.admin or self.responder_id in parties


@dataclass(frozen=True, slots=True)
class Swap:
    """A request that another takes a time over, in exchange for another time or not; the fields are the columns.

    `taker_id` is who is asked or has offered; None asks everybody. The overrides are set while it is ACCEPTED.
    """

    swap_id: UUID
    schedule_id: str
    asker_id: str
    taker_id: str | None
    starts_at: datetime
    ends_at: datetime
    return_starts_at: datetime | None
    return_ends_at: datetime | None
    note: str
    state: State
    created_at: datetime
    changed_at: datetime
    override_id: UUID | None = None
    return_override_id: UUID | None = None

    @property
    def over_at(self) -> datetime:
        """When the last of its times ends."""
        return max(self.ends_at, self.return_ends_at or self.ends_at)


def offer(swap: Swap, by: By, now: datetime) -> Swap:
    """Somebody offers to take it. Raises Denied for the asker, Refused where nothing can be offered."""
    if by.responder_id == swap.asker_id:
        raise _denied(by, "offer to take", "anybody but the asker")
    match swap.state:
        case State.ASKED if swap.taker_id is None:
            _check_time(swap, now)
            return replace(swap, state=State.OFFERED, taker_id=by.responder_id, changed_at=now)
        case State.ASKED | State.OFFERED | State.ACCEPTED | State.DECLINED | State.CANCELLED | State.UNDONE:
            raise _refused(swap, "offered for")
        case _:
            assert_never(swap.state)


def accept(swap: Swap, by: By, now: datetime, override_ids: tuple[UUID, UUID]) -> Swap:
    """Agrees; the overrides get these ids. Raises Denied for others than who is to agree, Refused where none can."""
    _check_party(swap, by, "accept")
    match swap.state:
        case State.ASKED if swap.taker_id is None:
            raise Refused("nobody has offered to take the swap yet", reason="SWAP_NOT_OFFERED")
        case State.ASKED | State.OFFERED:
            agreeing = swap.taker_id if swap.state is State.ASKED else swap.asker_id
            if not by.is_one_of(agreeing):
                raise _denied(by, "accept", repr(agreeing))
            _check_time(swap, now)
            first, second = override_ids
            returned = second if swap.return_starts_at is not None else None
            return replace(
                swap, state=State.ACCEPTED, override_id=first, return_override_id=returned, changed_at=now
            )
        case State.ACCEPTED | State.DECLINED | State.CANCELLED | State.UNDONE:
            raise _refused(swap, "accepted")
        case _:
            assert_never(swap.state)


def decline(swap: Swap, by: By, now: datetime) -> Swap:
    """Says no: who was asked ends it, and an offer declined or taken back leaves everybody asked again.

    Raises Denied for others than who may, Refused where there is nothing to decline.
    """
    _check_party(swap, by, "decline")
    match swap.state:
        case State.ASKED if swap.taker_id is not None:
            if not by.is_one_of(swap.taker_id):
                raise _denied(by, "decline", repr(swap.taker_id))
            return replace(swap, state=State.DECLINED, changed_at=now)
        case State.OFFERED:
            return replace(swap, state=State.ASKED, taker_id=None, changed_at=now)
        case State.ASKED | State.ACCEPTED | State.DECLINED | State.CANCELLED | State.UNDONE:
            raise _refused(swap, "declined")
        case _:
            assert_never(swap.state)


def cancel(swap: Swap, by: By, now: datetime) -> Swap:
    """The asker withdraws it. Raises Denied for others, Refused once it is agreed or ended."""
    _check_party(swap, by, "cancel")
    if not by.is_one_of(swap.asker_id):
        raise _denied(by, "cancel", repr(swap.asker_id))
    match swap.state:
        case State.ASKED | State.OFFERED:
            return replace(swap, state=State.CANCELLED, changed_at=now)
        case State.ACCEPTED | State.DECLINED | State.CANCELLED | State.UNDONE:
            raise _refused(swap, "cancelled")
        case _:
            assert_never(swap.state)


def undo(swap: Swap, by: By, now: datetime) -> Swap:
    """One of the two takes the agreement back. Raises Denied for others, Refused where there is none or it is over."""
    _check_party(swap, by, "undo")
    match swap.state:
        case State.ACCEPTED:
            if swap.over_at <= now:
                raise _over("undone")
            return replace(
                swap, state=State.UNDONE, override_id=None, return_override_id=None, changed_at=now
            )
        case State.ASKED | State.OFFERED | State.DECLINED | State.CANCELLED | State.UNDONE:
            raise _refused(swap, "undone")
        case _:
            assert_never(swap.state)


def agreed(swap: Swap) -> list[Override]:
    """The overrides of a swap: while it is ACCEPTED the taker's for the asker, and in exchange the other way round."""
    made = []
    asker, taker, made_at = swap.asker_id, swap.taker_id, swap.changed_at
    if swap.override_id is not None:
        made.append(
            Override(swap.override_id, swap.schedule_id, taker, asker, swap.starts_at, swap.ends_at, made_at)
        )
    if swap.return_override_id is not None:
        assert swap.return_starts_at is not None
        assert swap.return_ends_at is not None
        back = swap.return_starts_at, swap.return_ends_at
        made.append(Override(swap.return_override_id, swap.schedule_id, asker, taker, *back, made_at))
    return made


def _check_party(swap: Swap, by: By, verb: str) -> None:
    if not by.is_one_of(swap.asker_id, swap.taker_id):
        raise _denied(by, verb, "the two who swap")


def _check_time(swap: Swap, now: datetime) -> None:
    """An agreement is about a time to come: neither of the two times has ended."""
    if min(swap.ends_at, swap.return_ends_at or swap.ends_at) <= now:
        raise _over("agreed on")


def _over(done: str) -> Refused:
    return Refused(f"the time of the swap has ended: it can no longer be {done}", reason="SWAP_OVER")


def _refused(swap: Swap, done: str) -> Refused:
    waits = f" and waits for {swap.taker_id!r}" if swap.state is State.ASKED and swap.taker_id else ""
    return Refused(f"the swap is {swap.state}{waits}: it cannot be {done}", reason="SWAP_STATE")


def _denied(by: By, verb: str, parties: str) -> Denied:
    return Denied(f"{by.responder_id[:64]!r} may not {verb} the swap, {parties} may", reason="NOT_A_PARTY")
