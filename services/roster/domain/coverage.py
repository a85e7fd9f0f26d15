"""The final schedule of a window: explicit shifts, layers and overrides laid over each other in one sweep."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from services.roster.domain.interval import Interval, clipped
from services.roster.domain.replacement import in_force
from services.roster.domain.restriction import windows
from services.roster.domain.rotation import turns
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override, Shift, Source
from services.roster.domain.stretch import Present, Stretch, beneath, during, pieces
from services.roster.domain.time_off import Leave, Rule, TimeOff, leave, split, taken
from services.roster.domain.walltime import Clocks


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides who is on call on a schedule; `revision` changes whenever any of it does."""

    schedule: Schedule
    shifts: Sequence[Shift] = ()
    overrides: Sequence[Override] = ()
    revision: int = 0
    time_off: Sequence[TimeOff] = ()

    @property
    def people(self) -> frozenset[str]:
        """Everybody who may be on call by it, whose time off it needs."""
        named = {name for layer in self.schedule.layers for name in layer.named}
        named |= {shift.responder_id for shift in self.shifts}
        return frozenset(
            named | {override.responder_id for override in self.overrides if override.responder_id}
        )


class Segment(NamedTuple):
    """One unbroken stretch of one person on call for one reason; `layer` is empty unless that is a layer.

    `origin` is the id of the shift or override; of several that follow each other without a break, the first's.
    `on_leave` is set by `marked` alone.
    """

    responder_id: str
    starts_at: datetime
    ends_at: datetime
    source: Source
    layer: str
    origin: UUID | None = None
    on_leave: bool = False


def cover(plan: Plan, within: Interval) -> list[Stretch]:
    """Who is on call throughout the window, in stretches that are disjoint and in order, clipped to it."""
    covered = _explicit(plan.shifts, within)
    clocks = Clocks(plan.schedule.zone, within)
    away = leave(plan.time_off, within)
    for layer in reversed(plan.schedule.layers):
        covered = beneath(covered, _layer(layer, clocks, within, away))
    overrides = [o for o in plan.overrides if o.starts_at < within.ends_at and o.ends_at > within.starts_at]
    return _overridden(covered, overrides, within) if overrides else covered


def segments(stretches: Sequence[Stretch]) -> list[Segment]:
    """One per person, reason and unbroken stretch, ordered by start, then responder."""
    found: list[Segment] = []
    latest: dict[Present, int] = {}
    for starts_at, ends_at, people in stretches:
        for person in people:
            place = latest.get(person)
            if place is not None and found[place].ends_at == starts_at:
                found[place] = found[place]._replace(ends_at=ends_at)
            else:
                latest[person] = len(found)
                found.append(
                    Segment(
                        person.responder_id, starts_at, ends_at, person.source, person.layer, person.origin
                    )
                )
    return found


def marked(found: Sequence[Segment], away: Leave) -> list[Segment]:
    """The segments, cut where people's leave begins and ends and marked where they are on it; in the same order."""
    if not away:
        return [*found]
    parts = [
        segment._replace(starts_at=part.starts_at, ends_at=part.ends_at, on_leave=on_leave)
        for segment in found
        for part, on_leave in split(Interval(segment.starts_at, segment.ends_at), segment.responder_id, away)
    ]
    return sorted(parts, key=lambda segment: (segment.starts_at, segment.responder_id))


def gaps(stretches: Sequence[Stretch], within: Interval) -> list[Interval]:
    """Where nobody is on call."""
    found = []
    at = within.starts_at
    for starts_at, ends_at, _ in stretches:
        if starts_at > at:
            found.append(Interval(at, starts_at))
        at = ends_at
    if at < within.ends_at:
        found.append(Interval(at, within.ends_at))
    return found


def _layer(layer: Layer, clocks: Clocks, within: Interval, away: Leave) -> list[Stretch]:
    """When a layer names somebody: its turns, cut to its restrictions."""
    if layer.time_off is Rule.SKIP and not layer.named.isdisjoint(away):
        served = _stood_in(layer, clocks, within, away)
    elif layer.only:
        served = [Stretch(*within, _by(layer, layer.only))]
    else:
        served = _turns(layer, clocks, within)
    return during(served, windows(layer.restrictions, clocks, within)) if layer.restrictions else served


def _stood_in(layer: Layer, clocks: Clocks, within: Interval, away: Leave) -> list[Stretch]:
    """The turns of a layer that passes over people on leave."""
    served: list[Stretch] = []
    for number, starts_at, ends_at in turns(layer.counted(), clocks, within):
        turn = Interval(max(starts_at, within.starts_at), min(ends_at, within.ends_at))
        for part, person in taken(layer.line(number), turn, away):
            served.append(Stretch(*part, _by(layer, person)))
    return served


def _turns(layer: Layer, clocks: Clocks, within: Interval) -> list[Stretch]:
    served: list[Stretch] = []
    people = {person: _by(layer, person) for person in layer.named}
    for number, starts_at, ends_at in turns(layer.counted(), clocks, within):
        person = layer.person(number)
        if person:
            served.append(Stretch(starts_at, ends_at, people[person]))
    if served:
        served[0] = served[0]._replace(starts_at=max(served[0].starts_at, within.starts_at))
        served[-1] = served[-1]._replace(ends_at=min(served[-1].ends_at, within.ends_at))
    return served


def _by(layer: Layer, person: str) -> tuple[Present, ...]:
    return (Present(person, Source.LAYER, layer.name),)


def _explicit(shifts: Sequence[Shift], within: Interval) -> list[Stretch]:
    """Explicit shifts, each stretch with everybody who has one."""
    changes: dict[datetime, list[tuple[tuple[str, UUID], int]]] = {}
    for shift in shifts:
        part = clipped(Interval(shift.starts_at, shift.ends_at), within)
        if part is not None:
            served_by = shift.responder_id, shift.shift_id
            changes.setdefault(part.starts_at, []).append((served_by, 1))
            changes.setdefault(part.ends_at, []).append((served_by, -1))
    served = []
    active: Counter[tuple[str, UUID]] = Counter()
    for at, following in pairwise(sorted(changes)):
        for served_by, change in changes[at]:
            active[served_by] += change
        origins = dict(sorted(+active))
        people = tuple(Present(person, Source.EXPLICIT, origin=origins[person]) for person in origins)
        if people:
            served.append(Stretch(at, following, people))
    return served


def _overridden(covered: Sequence[Stretch], overrides: Sequence[Override], within: Interval) -> list[Stretch]:
    """Applies overrides that meet the window; between two of their ends the same ones are in force."""
    starting: dict[datetime, list[Override]] = {}
    ending: dict[datetime, list[Override]] = {}
    for override in overrides:
        starting.setdefault(max(override.starts_at, within.starts_at), []).append(override)
        ending.setdefault(min(override.ends_at, within.ends_at), []).append(override)
    changed: list[Stretch] = []
    active: dict[tuple[datetime, object], Override] = {}
    for at, following in pairwise(sorted({*within, *starting, *ending})):
        for override in ending.get(at, ()):
            del active[override.age]
        active |= {override.age: override for override in starting.get(at, ())}
        newest_first = [active[age] for age in sorted(active, reverse=True)]
        for starts_at, ends_at, people in pieces(covered, Interval(at, following)):
            present = in_force(people, newest_first) if newest_first else people
            if present:
                changed.append(Stretch(starts_at, ends_at, present))
    return changed
