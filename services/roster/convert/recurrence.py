"""When the events of a calendar take place: recurring ones expanded on the wall clock, within a window."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
from dateutil.rrule import rruleset, rrulestr

from services.roster.domain import walltime
from services.roster.domain.interval import Interval

MOST_STEPS = 20_000
"""Occurrences that are looked at, of one event, before and in the window."""
FREQUENCIES = {"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
LIMITS = {"BYMONTH": 12, "BYMONTHDAY": 31, "BYYEARDAY": 366, "BYWEEKNO": 53, "BYSETPOS": 366}
YEARLY_ALONE = ("BYYEARDAY", "BYWEEKNO")
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
DAY = timedelta(days=1)


class Unreadable(ValueError):
    """What is said of an event's time cannot be carried over; the text says why."""


class Times:
    """The wall times of one event, on the clocks of its zone or, without one, of the schedule's."""

    def __init__(self, event: icalendar.Event, zone: ZoneInfo) -> None:
        start = _value(event, "DTSTART")
        if start is None:
            raise Unreadable("it has no DTSTART")
        self._zone: tzinfo = zone
        if isinstance(start, datetime) and start.tzinfo is not None:
            self._zone = start.tzinfo
        self.start = self.wall(start)
        self.length = self._length(event, whole_days=not isinstance(start, datetime))
        if self.length <= timedelta():
            raise Unreadable("it does not end after it starts")

    def wall(self, value: date | datetime) -> datetime:
        """A value as the event's clocks show it; a day is its midnight."""
        if not isinstance(value, datetime):
            return datetime.combine(value, time())
        if value.tzinfo is not None:
            value = value.astimezone(self._zone).replace(tzinfo=None)
        return value

    def interval(self, wall: datetime) -> Interval:
        """When an occurrence that starts at a wall time takes place; its end is where the wall clock has it."""
        return Interval(self._instant(wall), self._instant(wall + self.length))

    def _length(self, event: icalendar.Event, *, whole_days: bool) -> timedelta:
        end, lasting = _value(event, "DTEND"), _value(event, "DURATION")
        if end is not None:
            return self.wall(end) - self.start
        if lasting is not None:
            return timedelta(seconds=lasting.total_seconds())
        return DAY if whole_days else timedelta()

    def _instant(self, wall: datetime) -> datetime:
        if isinstance(self._zone, ZoneInfo):
            return walltime.first(wall, self._zone)
        return wall.replace(tzinfo=self._zone).astimezone(UTC)


def occurrences(
    event: icalendar.Event, zone: ZoneInfo, window: Interval, moved: set[datetime]
) -> Iterator[tuple[str, Interval]]:
    """Each occurrence that meets the window, with the name of its place in the series, which is empty without one.

    `moved` are the first instants of those that the calendar describes by themselves. Raises Unreadable.
    """
    times = Times(event, zone)
    series = _series(event, times)
    if series is None:
        whole = times.interval(times.start)
        if _meets(whole, window):
            yield "", whole
        return
    for step, wall in enumerate(series):
        if step >= MOST_STEPS:
            raise Unreadable(f"it recurs more than {MOST_STEPS} times up to the end of the window")
        interval = times.interval(wall)
        if interval.starts_at >= window.ends_at:
            return
        if _meets(interval, window) and interval.starts_at not in moved:
            yield interval.starts_at.isoformat(), interval


def recurrence_id(event: icalendar.Event, zone: ZoneInfo) -> datetime | None:
    """The first instant of the occurrence that an event stands for; None for an event that is a series or alone."""
    value = _value(event, "RECURRENCE-ID")
    if value is None:
        return None
    times = Times(event, zone)
    return times.interval(times.wall(value)).starts_at


def _series(event: icalendar.Event, times: Times) -> Any:
    """The wall times at which a recurring event starts, in order; None for one that does not recur."""
    rules, dates = _listed(event, "RRULE"), [*_dates(event, "RDATE")]
    if not rules and not dates:
        return None
    series = rruleset(cache=False)
    series.rdate(times.start)
    for rule in rules:
        series.rrule(_rule(rule, times))
    for value in dates:
        if isinstance(value, tuple):
            raise Unreadable("it has an RDATE of periods")
        series.rdate(times.wall(value))
    for value in _dates(event, "EXDATE"):
        series.exdate(times.wall(value))
    return series


def _rule(rule: icalendar.vRecur, times: Times) -> Any:
    frequency = str(rule.get("FREQ", [""])[0]).upper()
    if frequency not in FREQUENCIES:
        raise Unreadable(f"it recurs {frequency or 'without FREQ'}; want {', '.join(sorted(FREQUENCIES))}")
    if not _happens(rule, frequency):
        raise Unreadable("its RRULE names days that never are")
    plain = icalendar.vRecur(rule)
    if "UNTIL" in plain:
        plain["UNTIL"] = [_until(value, times) for value in plain["UNTIL"]]
    try:
        text: bytes = plain.to_ical()  # type: ignore[no-untyped-call]
        return rrulestr(text.decode(), dtstart=times.start)
    except (ValueError, TypeError) as error:
        raise Unreadable(f"its RRULE cannot be read: {error}") from None


def _happens(rule: icalendar.vRecur, frequency: str) -> bool:
    """Whether a rule's days exist: of a rule that never happens every day up to the year 9999 would be tried."""
    parts = {name: [int(value) for value in rule.get(name, ())] for name in LIMITS}
    if any(not 1 <= abs(value) <= LIMITS[name] for name, values in parts.items() for value in values):
        return False
    if frequency != "YEARLY" and any(parts[name] for name in YEARLY_ALONE):
        return False
    if frequency == "DAILY" and parts["BYSETPOS"]:
        return False
    shortest = min(map(abs, parts["BYMONTHDAY"]), default=1)
    longest = max(LONGEST_MONTHS[month - 1] for month in map(abs, parts["BYMONTH"] or [1]))
    return shortest <= longest


def _until(value: date | datetime, times: Times) -> datetime:
    """The last wall time of a rule; a day is included to its end."""
    return times.wall(value) if isinstance(value, datetime) else datetime.combine(value, time(23, 59, 59))


def _dates(event: icalendar.Event, name: str) -> Iterator[Any]:
    for listed in _listed(event, name):
        for one in listed.dts:
            yield one.dt


def _listed(event: icalendar.Event, name: str) -> list[Any]:
    found = event.get(name)
    return [] if found is None else found if isinstance(found, list) else [found]


def _value(event: icalendar.Event, name: str) -> Any:
    """What a property says of time; None when it is not there. Raises Unreadable."""
    found = event.get(name)
    if found is None:
        return None
    if isinstance(found, list) or not hasattr(found, "dt"):
        raise Unreadable(f"its {name} cannot be read")
    return found.dt


def _meets(interval: Interval, window: Interval) -> bool:
    return interval.starts_at < window.ends_at and interval.ends_at > window.starts_at
