"""When a contact method keeps still, by the clock on the wall of a zone, also on days when clocks change."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MOST_QUIET_HOURS = 14
DAY = timedelta(days=1)
NEVER_ENDING = timedelta(days=8)
"""Quiet hours that follow on each other for longer than a week never end."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end`, on the next day unless that is later, beginning on some weekdays (0 is Monday).

    No weekday means every day. A time that clocks show twice counts from its first and until its last showing; one
    that they skip is when they skip it.
    """

    start: time
    end: time
    time_zone: str
    weekdays: frozenset[int]

    def until(self, at: datetime) -> datetime | None:
        """When the stretch ends that an instant is in; None when it is in none."""
        zone = _zone(self.time_zone)
        today = at.astimezone(zone).date()
        for days in (0, 1, 2):
            day = today - days * DAY
            if self.weekdays and day.weekday() not in self.weekdays:
                continue
            begins = _instant(datetime.combine(day, self.start), zone, fold=0)
            last = day + DAY if self.end <= self.start else day
            ends = _instant(datetime.combine(last, self.end), zone, fold=1)
            if begins <= at < ends:
                return ends
        return None


def over(quiet: Iterable[QuietHours], at: datetime) -> datetime:
    """The first moment from an instant on that no stretch covers; where they never end, eight days later."""
    stretches, moment = list(quiet), at
    while ends := [end for stretch in stretches if (end := stretch.until(moment)) is not None]:
        moment = max(ends)
        if moment - at >= NEVER_ENDING:
            return at + NEVER_ENDING
    return moment


def never_end(quiet: Iterable[QuietHours], now: datetime) -> bool:
    """Whether they leave no time at all, in the week to come."""
    return over(quiet, now) - now >= NEVER_ENDING


def _instant(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    """When clocks show a local time, for the first (0) or last (1) time; the end of the gap when they skip it."""
    there = wall.replace(tzinfo=zone, fold=fold)
    instant = there.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    early, late = (
        wall.replace(tzinfo=zone, fold=1).astimezone(UTC),
        wall.replace(tzinfo=zone, fold=0).astimezone(UTC),
    )
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // timedelta(seconds=2) * timedelta(seconds=1)
        if middle.astimezone(zone).replace(tzinfo=None) >= wall:
            late = middle
        else:
            early = middle
    return late


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
