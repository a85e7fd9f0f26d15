"""Periods divided into hours, days or weeks; days have 23 or 25 hours where the zone's clocks change."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from services.sla.domain.figures import Window

HOUR = timedelta(hours=1)


class Step(StrEnum):
    """How long a step is."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"


def divided(window: Window, step: Step, zone: ZoneInfo) -> Iterator[Window]:
    """The steps that cover the window, in order; the first and the last are cut where the window begins and ends.

    Hours are those of UTC; days begin at the zone's midnight, or the first instant after it where midnight is skipped,
    and weeks with Monday.
    """
    start = window.start
    while start < window.end:
        end = min(_next(start, step, zone), window.end)
        yield Window(start, end)
        start = end


def _next(at: datetime, step: Step, zone: ZoneInfo) -> datetime:
    """The first boundary after an instant."""
    if step is Step.HOUR:
        return at.replace(minute=0, second=0, microsecond=0) + HOUR
    day = at.astimezone(zone).date()
    ahead = 1 if step is Step.DAY else 7 - day.weekday()
    return _midnight(day + timedelta(days=ahead), zone)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """The first instant of a day: the earlier of two midnights, and the end of the gap where there is none."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
