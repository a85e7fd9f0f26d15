"""Hours of the week in which a layer is in force."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.roster.domain.interval import Interval, clipped, union
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
        closing = day if self.end_time > self.start_time else day + DAY
        return (
            clocks.first(datetime.combine(day, self.start_time)),
            clocks.last(datetime.combine(closing, self.end_time)),
        )


def windows(restrictions: Sequence[Restriction], clocks: Clocks, within: Interval) -> list[Interval]:
    """When at least one of the restrictions is open, as disjoint intervals in order, clipped to `within`."""
    day = (
        _midnight(within.starts_at, clocks.zone) - 2 * DAY
    )  # a window may reach a day on, and clocks may skip a day
    final = _midnight(within.ends_at, clocks.zone)
    opened = []
    while day <= final:
        for restriction in restrictions:
            if day.weekday() in restriction.days:
                window = clipped(Interval(*restriction.on(day, clocks)), within)
                if window is not None:
                    opened.append(window)
        day += DAY
    return union(opened)


def _midnight(instant: datetime, zone: ZoneInfo) -> datetime:
    return datetime.combine(local(instant, zone), time())
