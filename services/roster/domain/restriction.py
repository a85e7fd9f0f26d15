"""Hours of the week in which a layer is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.roster.domain.interval import Interval, trimmed, union
from services.roster.domain.walltime import Clocks, local

EVERY_DAY = frozenset(range(7))
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A daily window that starts on some weekdays (0 is Monday; none named means every day), in local wall time.

    It belongs to the day on which it starts, and ends on the next one when its end is not after its start; the same
    time for both is 24 hours.
    """

    weekdays: frozenset[int]
    start_time: time
    end_time: time

    @property
    def days(self) -> frozenset[int]:
        """The weekdays on which the window starts."""
        return self.weekdays or EVERY_DAY

    def on(self, day: datetime, clocks: Clocks) -> tuple[datetime, datetime]:
        """From when until when the window of a local day is open; a start shown twice is its first showing, an end
        its last."""
        opens, closes = self.hours
        return clocks.first(day + opens), clocks.last(day + closes)

    @property
    def hours(self) -> tuple[timedelta, timedelta]:
        """How long after the midnight of its day, on the wall clock, the window opens and closes."""
        opens, closes = _since_midnight(self.start_time), _since_midnight(self.end_time)
        return opens, closes if closes > opens else closes + DAY


def windows(restrictions: Sequence[Restriction], clocks: Clocks, within: Interval) -> list[Interval]:
    """When at least one of the restrictions is open, as disjoint intervals in order, clipped to `within`."""
    day = (
        _midnight(within.starts_at, clocks.zone) - 2 * DAY
    )  # a window may reach a day on, and clocks may skip a day
    final = _midnight(within.ends_at, clocks.zone)
    starting = [[(r, *r.hours) for r in restrictions if weekday in r.days] for weekday in range(7)]
    opened = []
    while day <= final:
        midnight = clocks.midnight(day)
        for restriction, opens, closes in starting[day.weekday()]:
            if midnight is not None:
                opened.append(Interval(midnight + opens, midnight + closes))
            else:
                starts_at, ends_at = restriction.on(day, clocks)
                if starts_at < ends_at:
                    opened.append(Interval(starts_at, ends_at))
        day += DAY
    return trimmed(union(opened), within)


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute)


def _midnight(instant: datetime, zone: ZoneInfo) -> datetime:
    return datetime.combine(local(instant, zone), time())
