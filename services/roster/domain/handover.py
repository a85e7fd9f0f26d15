"""Handovers: the instants at which who is on call on a schedule changes, and gaps that lie ahead."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.roster.domain.coverage import Plan, cover, gaps
from services.roster.domain.interval import Interval, overlaps

LOOK = timedelta(hours=1)
"""How far ahead a watch looks for the next change; it is due again then at the latest."""


@dataclass(frozen=True, slots=True)
class Handover:
    """A change of who is on call; both lists are sorted, and never both empty."""

    at: datetime
    outgoing: tuple[str, ...]
    incoming: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """What has been told of a schedule; the fields are the columns.

    `responder_ids` were on call when it was looked at last, at `watched_at`; `edited_at` is the first edit since;
    `gaps` are those ahead that have been told of.
    """

    schedule_id: str
    responder_ids: tuple[str, ...]
    watched_at: datetime
    edited_at: datetime | None
    due_at: datetime
    gaps: tuple[Interval, ...]


@dataclass(frozen=True, slots=True)
class Watched:
    """What a look has found: the watch as it is now, and what is to be told."""

    watch: Watch
    handovers: Sequence[Handover]
    gaps: Sequence[Interval]


def look(watch: Watch, plan: Plan, now: datetime, ahead: timedelta) -> Watched:
    """Finds every handover since the last look, and gaps within `ahead` that have not been told of.

    What an edit changes at once is handed over when the edit was made. A gap counts as told when it meets one that
    was told of; a schedule that names nobody has none.
    """
    since = max(watch.watched_at, watch.edited_at or watch.watched_at)
    handovers, people = [], watch.responder_ids
    for at, present in _people(plan, Interval(since, now + LOOK)):
        if present == people:
            continue
        if at > now:
            due_at = at
            break
        handovers.append(_handover(at, people, present))
        people = present
    else:
        due_at = now + LOOK
    found = _gaps(plan, now, ahead)
    looked = Watch(watch.schedule_id, people, now, None, due_at, tuple(found))
    return Watched(looked, handovers, [gap for gap in found if not overlaps(gap, watch.gaps)])


def _people(plan: Plan, within: Interval) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """Who is on call from which instant on; nobody in gaps."""
    at = within.starts_at
    for starts_at, ends_at, people in cover(plan, within):
        if starts_at > at:
            yield at, ()
        yield starts_at, tuple(person.responder_id for person in people)
        at = ends_at
    if at < within.ends_at:
        yield at, ()


def _handover(at: datetime, before: Sequence[str], after: Sequence[str]) -> Handover:
    return Handover(at, tuple(sorted({*before} - {*after})), tuple(sorted({*after} - {*before})))


def _gaps(plan: Plan, now: datetime, ahead: timedelta) -> list[Interval]:
    if not ahead:
        return []
    within = Interval(now, now + ahead)
    ends = [shift.ends_at for shift in plan.shifts] + [override.ends_at for override in plan.overrides]
    used = plan.schedule.layers or max(ends, default=now) > now
    return gaps(cover(plan, within), within) if used else []
