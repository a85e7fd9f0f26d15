"""Half-open stretches of time, and what they make when laid over each other."""

from bisect import bisect_left, bisect_right
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


def clipped(interval: Interval, within: Interval) -> Interval | None:
    """The part of an interval that lies in `within`; None when there is none."""
    starts_at = max(interval.starts_at, within.starts_at)
    ends_at = min(interval.ends_at, within.ends_at)
    return Interval(starts_at, ends_at) if starts_at < ends_at else None


def trimmed(intervals: Sequence[Interval], within: Interval) -> list[Interval]:
    """The parts of intervals, which are disjoint and in order, that lie in `within`."""
    first = bisect_right(intervals, within.starts_at, key=lambda interval: interval.ends_at)
    last = bisect_left(intervals, within.ends_at, key=lambda interval: interval.starts_at)
    kept = list(intervals[first:last])
    for end in {0, len(kept) - 1} if kept else ():
        part = clipped(kept[end], within)
        assert part is not None
        kept[end] = part
    return kept


def overlaps(interval: Interval, others: Sequence[Interval]) -> bool:
    """Whether an interval shares time with one of the others, or touches it."""
    return any(o.starts_at <= interval.ends_at and interval.starts_at <= o.ends_at for o in others)
