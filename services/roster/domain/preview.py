"""What a window looks like to people: who is on call and why, gaps, double cover, what each bears, what would change."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from services.roster.domain.coverage import Plan, Segment, cover, gaps, marked, segments
from services.roster.domain.fairness import Load, loads
from services.roster.domain.interval import Interval
from services.roster.domain.stretch import Present, Stretch
from services.roster.domain.time_off import leave


class Overlap(NamedTuple):
    """A stretch in which the same people, two or more, are on call at once; by id."""

    starts_at: datetime
    ends_at: datetime
    responder_ids: tuple[str, ...]


class Change(NamedTuple):
    """A stretch in which other people are on call than before; both by id."""

    starts_at: datetime
    ends_at: datetime
    before: tuple[str, ...]
    after: tuple[str, ...]


class Preview(NamedTuple):
    """Everything of a window, clipped to it and in order."""

    segments: Sequence[Segment]
    gaps: Sequence[Interval]
    overlaps: Sequence[Overlap]
    loads: Sequence[Load]


def preview(plan: Plan, within: Interval) -> Preview:
    """The final schedule of a window."""
    return _drawn(plan, cover(plan, within), within)


def compared(before: Plan, after: Plan, within: Interval) -> tuple[Preview, list[Change]]:
    """The final schedule of a window after a change, and where other people would be on call than before it."""
    covered = cover(after, within)
    return _drawn(after, covered, within), changes(cover(before, within), covered, within)


def overlaps(stretches: Sequence[Stretch]) -> list[Overlap]:
    """Where several people are on call at once."""
    found: list[Overlap] = []
    for starts_at, ends_at, people in stretches:
        if len(people) > 1:
            together = _ids(people)
            last = found[-1] if found else None
            if last is not None and (last.ends_at, last.responder_ids) == (starts_at, together):
                found[-1] = last._replace(ends_at=ends_at)
            else:
                found.append(Overlap(starts_at, ends_at, together))
    return found


def changes(before: Sequence[Stretch], after: Sequence[Stretch], within: Interval) -> list[Change]:
    """Where the people of two covers of a window differ; why somebody is on call makes no difference."""
    found: list[Change] = []
    was, then = _people(before, within), _people(after, within)
    i = j = 0
    at = within.starts_at
    while at < within.ends_at:
        ends_at = min(was[i][0], then[j][0])
        old, new = was[i][1], then[j][1]
        if old != new:
            last = found[-1] if found else None
            if last is not None and last[1:] == (at, old, new):
                found[-1] = last._replace(ends_at=ends_at)
            else:
                found.append(Change(at, ends_at, old, new))
        i += was[i][0] == ends_at
        j += then[j][0] == ends_at
        at = ends_at
    return found


def _drawn(plan: Plan, covered: Sequence[Stretch], within: Interval) -> Preview:
    shown = marked(segments(covered), leave(plan.time_off, within))
    named = {person for layer in plan.schedule.layers for person in layer.named}
    return Preview(
        shown,
        gaps(covered, within),
        overlaps(covered),
        loads(shown, named, plan.schedule.zone, within),
    )


def _people(stretches: Sequence[Stretch], within: Interval) -> list[tuple[datetime, tuple[str, ...]]]:
    """Until when who is on call, without a hole from the start of the window to its end."""
    found: list[tuple[datetime, tuple[str, ...]]] = []
    at = within.starts_at
    for stretch in stretches:
        if stretch.starts_at > at:
            found.append((stretch.starts_at, ()))
        found.append((stretch.ends_at, _ids(stretch.people)))
        at = stretch.ends_at
    if at < within.ends_at:
        found.append((within.ends_at, ()))
    return found


def _ids(people: Sequence[Present]) -> tuple[str, ...]:
    return tuple(person.responder_id for person in people)
