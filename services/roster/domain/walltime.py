"""Wall-clock times to instants: every local time has one, also where clocks skip it or show it twice.

zoneinfo reports neither gaps nor repeated hours; its two folds give the offsets on both sides of a change.
"""

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.roster.domain.interval import Interval

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LOCAL_EPOCH = EPOCH.replace(tzinfo=None)


class Clocks:
    """The clocks of a zone, quick for wall times of one window: days without a change need no look at the zone."""

    def __init__(self, zone: ZoneInfo, within: Interval) -> None:
        self.zone = zone
        self._from: list[datetime] = []
        self._anchors: list[datetime | None] = []
        self._look(within.starts_at - 3 * DAY, within.ends_at + 3 * DAY)

    def first(self, wall: datetime) -> datetime:
        """As `first` below."""
        anchor = self._anchor(wall)
        return first(wall, self.zone) if anchor is None else anchor + (wall - LOCAL_EPOCH)

    def last(self, wall: datetime) -> datetime:
        """As `last` below."""
        anchor = self._anchor(wall)
        return last(wall, self.zone) if anchor is None else anchor + (wall - LOCAL_EPOCH)

    def midnight(self, day: datetime) -> datetime | None:
        """The instant of a local midnight when clocks run evenly for two days from then; None when they may not."""
        place = bisect_right(self._from, day) - 1
        if place < 0 or self.even_until(day) <= day + 2 * DAY:
            return None
        anchor = self._anchors[place]
        return None if anchor is None else anchor + (day - LOCAL_EPOCH)

    def even_until(self, wall: datetime) -> datetime:
        """Up to which wall time clocks run evenly from `wall` on; `wall` itself when that is not known."""
        place = bisect_right(self._from, wall)
        if place == 0 or place == len(self._from) or self._anchors[place - 1] is None:
            return wall
        return self._from[place]

    def _anchor(self, wall: datetime) -> datetime | None:
        """When the local clock would have shown the epoch with the offset of a wall time; None near changes."""
        place = bisect_right(self._from, wall) - 1
        return self._anchors[place] if place >= 0 else None

    def _look(self, start: datetime, end: datetime) -> None:
        """Within a day of a change, or of what was not looked at, the zone is asked."""
        (_, offset), *changes = offsets(self.zone, Interval(start, end))
        self._mark(_shown(start, offset) + DAY, offset)
        for at, changed in changes:
            self._mark(_shown(at, offset) - DAY, None)
            self._mark(_shown(at, changed) + DAY, changed)
            offset = changed
        self._mark(_shown(end, offset) - DAY, None)

    def _mark(self, wall: datetime, offset: timedelta | None) -> None:
        """From a wall time on, the offset is this one."""
        while self._from and self._from[-1] >= wall:
            self._from.pop()
            self._anchors.pop()
        self._from.append(wall)
        self._anchors.append(None if offset is None else EPOCH - offset)


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


def offsets(zone: ZoneInfo, within: Interval) -> list[tuple[datetime, timedelta]]:
    """The zone's offsets in an interval, each from an instant on: the first from its start, to the second."""
    years = range(within.starts_at.year, within.ends_at.year + 1)
    changes = (change for year in years for change in _changes(zone, year))
    return [
        (within.starts_at, _offset(within.starts_at.astimezone(zone))),
        *(change for change in changes if within.starts_at < change[0] < within.ends_at),
    ]


@lru_cache(maxsize=4096)
def _changes(zone: ZoneInfo, year: int) -> tuple[tuple[datetime, timedelta], ...]:
    """The instants of a year, in UTC, at which a zone's offset changes, and to what; one a day at most."""
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    offset = _offset(at.astimezone(zone))
    found = []
    while at < end:
        following = at + DAY
        changed = _offset(following.astimezone(zone))
        if changed != offset:
            found.append((_change(zone, at, following), changed))
        at, offset = following, changed
    return tuple(found)


def _shown(at: datetime, offset: timedelta) -> datetime:
    return (at + offset).replace(tzinfo=None)


def _change(zone: ZoneInfo, early: datetime, late: datetime) -> datetime:
    """The instant of the one change between two instants, found by halving down to a second."""
    before = _offset(early.astimezone(zone))
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        if _offset(middle.astimezone(zone)) == before:
            early = middle
        else:
            late = middle
    return late


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
