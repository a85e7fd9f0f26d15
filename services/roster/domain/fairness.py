"""What each person bears: hours on call, of them nights and weekends, as local clocks show them."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.roster.domain.coverage import Segment
from services.roster.domain.interval import Interval
from services.roster.domain.walltime import offsets

HOUR, DAY = 3600.0, 86_400.0
WEEK = 7 * DAY
NIGHT_FROM, NIGHT = 22 * HOUR, 8 * HOUR
"""A night begins at 22:00 and lasts until 06:00."""
WORKDAYS = 5 * DAY
MONDAY = 4 * DAY
"""The first Monday of the epoch's clock, which begins on a Thursday."""


class Load(NamedTuple):
    """A person's time on call; nights and weekends are parts of it, and of each other where both are true."""

    responder_id: str
    total: timedelta
    nights: timedelta
    weekends: timedelta


class Tally:
    """How much night and weekend has passed since the start of a window, at any of its instants, to the second.

    Between two changes of the clocks this is arithmetic; hours that clocks show twice count twice, skipped ones never.
    """

    def __init__(self, zone: ZoneInfo, within: Interval) -> None:
        self._from: list[float] = []
        self._parts: list[tuple[float, float, float]] = []
        nights = weekends = 0.0
        for at, offset in offsets(zone, within):
            instant, ahead = at.timestamp(), offset.total_seconds()
            if self._from:
                _, nights, weekends = self.at(instant)
            self._from.append(instant)
            self._parts.append(
                (ahead, nights - _nights(instant + ahead), weekends - _weekends(instant + ahead))
            )

    def at(self, instant: float) -> tuple[float, float, float]:
        """A Unix time, and the seconds of night and of weekend from the window's start to it."""
        ahead, nights, weekends = self._parts[bisect_right(self._from, instant) - 1]
        wall = instant + ahead
        return instant, nights + _nights(wall), weekends + _weekends(wall)


def loads(segments: Sequence[Segment], named: Iterable[str], zone: ZoneInfo, within: Interval) -> list[Load]:
    """What everybody bears who is named or on call in the window, by id."""
    tally = Tally(zone, within)
    ends = {at for segment in segments for at in (segment.starts_at, segment.ends_at)}
    passed = {at: tally.at(at.timestamp()) for at in ends}
    borne: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for segment in segments:
        start, end, own = passed[segment.starts_at], passed[segment.ends_at], borne[segment.responder_id]
        own[0] += end[0] - start[0]
        own[1] += end[1] - start[1]
        own[2] += end[2] - start[2]
    return [
        Load(person, *(timedelta(seconds=seconds) for seconds in borne[person]))
        for person in sorted({*named, *borne})
    ]


def _nights(wall: float) -> float:
    """Seconds of night on an even clock from the epoch's evening before to a wall time."""
    days, rest = divmod(wall + DAY - NIGHT_FROM, DAY)
    return days * NIGHT + (rest if rest < NIGHT else NIGHT)


def _weekends(wall: float) -> float:
    """Seconds of weekend on an even clock from the epoch's first Monday to a wall time; negative before it."""
    weeks, rest = divmod(wall - MONDAY, WEEK)
    return weeks * (WEEK - WORKDAYS) + (rest - WORKDAYS if rest > WORKDAYS else 0.0)
