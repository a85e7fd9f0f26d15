"""Turns of a rotation: counted on the wall clock from its start, in both directions, without hole or overlap."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.roster.domain.interval import Interval
from services.roster.domain.walltime import Clocks, local


class Unit(StrEnum):
    """The unit of a turn's length."""

    HOURLY = "HOURLY"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"


STEPS = {Unit.HOURLY: timedelta(hours=1), Unit.DAILY: timedelta(days=1), Unit.WEEKLY: timedelta(weeks=1)}
"""What one unit is on the wall clock; a month has no fixed length."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Turns of `length` units; turn 0 begins at `start`, local wall time of the schedule's zone.

    With `active_days` (0 is Monday) a DAILY rotation counts those days of the week alone.
    """

    unit: Unit
    length: int
    start: datetime
    active_days: frozenset[int] = frozenset()

    @property
    def step(self) -> timedelta | None:
        """How long every turn is on the wall clock; None when that depends on the turn."""
        if self.unit is Unit.MONTHLY or self.active_days:
            return None
        return self.length * STEPS[self.unit]

    def handoff(self, turn: int) -> datetime:
        """The wall time at which a turn begins; of months too short for the start's day it is the last day."""
        if self.unit is Unit.MONTHLY:
            return _months_later(self.start, turn * self.length)
        if self.active_days:
            return _active_days_later(self.start, turn * self.length, self.active_days)
        return self.start + turn * self.length * STEPS[self.unit]

    def turn_at(self, wall: datetime) -> int:
        """The turn of a wall time: the last whose handoff is not after it."""
        if self.unit is Unit.MONTHLY:
            months = (wall.year - self.start.year) * 12 + wall.month - self.start.month
            turn = months // self.length
            return turn if self.handoff(turn) <= wall else turn - 1
        if self.active_days:
            return _active_days_between(self.start, wall, self.active_days) // self.length
        return (wall - self.start) // (self.length * STEPS[self.unit])


class Turn(NamedTuple):
    """One turn of a rotation, from handoff to handoff."""

    number: int
    starts_at: datetime
    ends_at: datetime


def turns(rotation: Rotation, clocks: Clocks, within: Interval) -> Iterator[Turn]:
    """The turns that meet the interval, in order, each meeting the next; turns that fall into a gap are left out.

    A handoff that clocks skip is at the end of the gap, one that they show twice at its first showing.
    """
    # A wall clock that has been set back shows an earlier turn than the one that runs, never a later one.
    number, step = rotation.turn_at(local(within.starts_at, clocks.zone)), rotation.step
    wall = even_until = rotation.handoff(number)
    starts_at = clocks.first(wall)
    while starts_at < within.ends_at:
        wall = rotation.handoff(number + 1) if step is None else wall + step
        if step is not None and wall < even_until:
            ends_at = starts_at + step
        else:
            ends_at, even_until = clocks.first(wall), clocks.even_until(wall)
        if ends_at > within.starts_at and ends_at > starts_at:
            yield Turn(number, starts_at, ends_at)
        number, starts_at = number + 1, ends_at


def running(rotation: Rotation, zone: ZoneInfo, at: datetime) -> Turn:
    """The turn that runs at an instant."""
    within = Interval(at, at + timedelta.resolution)
    return next(turns(rotation, Clocks(zone, within), within))


def _months_later(start: datetime, months: int) -> datetime:
    years, month = divmod(start.month - 1 + months, 12)
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))


def _active_days_later(start: datetime, days: int, active: frozenset[int]) -> datetime:
    """The start's time of day on the active day number `days`; number 0 is the first not before the start."""
    weeks, rest = divmod(days, len(active))
    offsets = sorted((day - start.weekday()) % 7 for day in active)
    return start + timedelta(weeks=weeks, days=offsets[rest])


def _active_days_between(start: datetime, wall: datetime, active: frozenset[int]) -> int:
    """The number of the last active day whose handoff is not after `wall`."""
    weeks, days = divmod((wall - start) // timedelta(days=1), 7)
    offsets = sorted((day - start.weekday()) % 7 for day in active)
    return weeks * len(active) + sum(offset <= days for offset in offsets) - 1
