"""Half-open stretches of time, and what they make when laid over each other."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple


class Interval(NamedTuple):
    """A half-open interval `[starts_at, ends_at)` of instants in UTC; never empty."""

    starts_at: datetime
    ends_at: datetime


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time as disjoint intervals in order; what touches becomes one."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.starts_at <= merged[-1].ends_at:
            if interval.ends_at > merged[-1].ends_at:
                merged[-1] = Interval(merged[-1].starts_at, interval.ends_at)
        else:
            merged.append(interval)
    return merged


def holes(covered: Iterable[Interval], within: Interval) -> list[Interval]:
    """What disjoint, ordered intervals leave of `within`."""
    found = []
    at = within.starts_at
    for starts_at, ends_at in covered:
        if starts_at > at:
            found.append(Interval(at, min(starts_at, within.ends_at)))
        at = max(at, ends_at)
        if at >= within.ends_at:
            return found
    found.append(Interval(at, within.ends_at))
    return found


def clipped(interval: Interval, within: Interval) -> Interval | None:
    """The part of an interval that lies in `within`; None when there is none."""
    starts_at = max(interval.starts_at, within.starts_at)
    ends_at = min(interval.ends_at, within.ends_at)
    return Interval(starts_at, ends_at) if starts_at < ends_at else None


def overlaps(interval: Interval, others: Sequence[Interval]) -> bool:
    """Whether an interval shares time with one of the others, or touches it."""
    return any(o.starts_at <= interval.ends_at and interval.starts_at <= o.ends_at for o in others)
