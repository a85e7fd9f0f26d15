"""When a level is for an alert: by severity, and by the hours of the week on the clocks of a zone."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from chassis import validation
from chassis.errors import Problems

WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
MIDNIGHT = time()
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Condition:
    """All that is given must hold: one of the `severities`, and the hours that begin on one of the `weekdays`.

    Weekdays count from 0 for Monday; none means every day, as no severities mean every one. Hours that do not end
    after they begin end on the next day.
    """

    severities: frozenset[str] = frozenset()
    weekdays: frozenset[int] = frozenset()
    start_time: time = MIDNIGHT
    end_time: time = MIDNIGHT
    time_zone: str = "UTC"

    def holds(self, severity: str, now: datetime) -> bool:
        """Whether the level is for an alert of this severity at `now`."""
        if self.severities and severity not in self.severities:
            return False
        local = now.astimezone(ZoneInfo(self.time_zone))
        today, at = local.weekday(), local.time()
        if self.start_time < self.end_time:
            return self.start_time <= at < self.end_time and self._begins(today)
        return (at >= self.start_time and self._begins(today)) or (
            at < self.end_time and self._begins((today - 1) % 7)
        )

    def _begins(self, weekday: int) -> bool:
        return not self.weekdays or weekday in self.weekdays


def clock_time(problems: Problems, path: str, text: str) -> time:
    """The wall-clock time that `09:00` means, midnight for ''; notes what is none."""
    try:
        if text and len(text) != 5:
            raise ValueError
        return time.fromisoformat(text) if text else MIDNIGHT
    except ValueError:
        problems.add(path, f"{text[:20]!r} is not a time of day; want one such as '09:00'")
        return MIDNIGHT


def check_condition(problems: Problems, path: str, condition: Condition) -> None:
    """Notes every field that is out of its limits."""
    validation.zone(problems, f"{path}.time_zone", condition.time_zone)
