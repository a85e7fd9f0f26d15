"""Business hours: when the time of a promise runs, in the wall time of a zone, exact across clock changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
MOST_DAYS = 3_660
"""Days after which a promise is taken to be for ever: hours that come so seldom mean nothing."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A daily window that starts on some weekdays (0 is Monday; none named means every day).

    It ends on the next day when its end is not after its start; the same time for both is 24 hours.
    """

    weekdays: frozenset[int]
    start_time: time
    end_time: time


@dataclass(frozen=True, slots=True)
class BusinessHours:
    """The windows in which time runs, in the zone's wall time; overlaps run once."""

    time_zone: str
    windows: tuple[Hours, ...]

    def after(self, start: datetime, length: timedelta) -> datetime | None:
        """The instant at which time has run for so long since `start`; None when that takes more than ten years.

        A length that ends with a window ends there, and not at the beginning of the next one.
        """
        left = length
        for opens, closes in self._open(start):
            if closes - opens >= left:
                return opens + left
            left -= closes - opens
        return None

    def _open(self, start: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The stretches from `start` on in which time runs, disjoint, in order."""
        zone, covered = ZoneInfo(self.time_zone), start
        first = start.astimezone(zone).date() - 2 * DAY
        for number in range(MOST_DAYS):
            for opens, closes in sorted(_of_day(self.windows, first + number * DAY, zone)):
                if closes > covered:
                    yield max(opens, covered), closes
                    covered = closes


def _of_day(windows: Sequence[Hours], day: date, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    for window in windows:
        if not window.weekdays or day.weekday() in window.weekdays:
            ends = day if window.end_time > window.start_time else day + DAY
            opens, closes = (
                _instant(day, window.start_time, zone),
                _instant(ends, window.end_time, zone, last=True),
            )
            if opens < closes:
                yield opens, closes


def _instant(day: date, at: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The instant of a wall time: the first or the last of two, and the end of the gap where it is skipped."""
    wall = datetime.combine(day, at, zone).replace(fold=int(last))
    found = wall.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return found
    low, high = wall.replace(fold=1).astimezone(UTC), wall.replace(fold=0).astimezone(UTC)
    shifted = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == shifted:
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)
