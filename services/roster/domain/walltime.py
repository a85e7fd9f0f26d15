"""Wall-clock times to instants: every local time has one, also where clocks skip it or show it twice.

zoneinfo reports neither gaps nor repeated hours; its two folds give the offsets on both sides of a change.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)


def first(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, in UTC, at which the zone's clocks show `wall`; the end of the gap when they skip it."""
    there = wall.replace(tzinfo=zone)
    early, late = _offset(there), _offset(there.replace(fold=1))
    if early < late:
        return _end_of_gap(wall, zone, early, late)
    return (wall - early).replace(tzinfo=UTC)


def last(wall: datetime, zone: ZoneInfo) -> datetime:
    """The last instant, in UTC, at which the zone's clocks show `wall`; the end of the gap when they skip it."""
    there = wall.replace(tzinfo=zone)
    early, late = _offset(there), _offset(there.replace(fold=1))
    if early < late:
        return _end_of_gap(wall, zone, early, late)
    return (wall - late).replace(tzinfo=UTC)


def local(instant: datetime, zone: ZoneInfo) -> datetime:
    """What the zone's clocks show at an instant, without an offset."""
    return instant.astimezone(zone).replace(tzinfo=None)


def _offset(there: datetime) -> timedelta:
    offset = there.utcoffset()
    assert offset is not None
    return offset


def _end_of_gap(wall: datetime, zone: ZoneInfo, before: timedelta, after: timedelta) -> datetime:
    """The instant of the change that skips `wall`, found by halving the time around it down to a second."""
    early, late = (wall - after).replace(tzinfo=UTC), (wall - before).replace(tzinfo=UTC)
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        if local(middle, zone) >= wall:
            late = middle
        else:
            early = middle
    return late
