"""Who is on call on one schedule at any instant: a bisection in an expansion made when first asked for."""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple
from zlib import crc32

from services.roster.domain.coverage import Plan, cover
from services.roster.domain.interval import Interval
from services.roster.domain.shift import Source
from services.roster.domain.stretch import Present, Stretch

FIRST, FURTHER, LONGEST = timedelta(days=2), 4, timedelta(days=730)
"""How far an expansion reaches: four times as far until it shows the end of what is asked for, at most two years.

The first reaches up to twice as far, by the schedule's id: what was expanded at once must not run out at once.
"""
BACK = timedelta(hours=1)
"""How far an expansion reaches back from the instant that is asked for."""
KEPT = 4
"""Expansions kept: now, and the instants that previews and questions about other times ask for."""


class OnCall(NamedTuple):
    """A person on call; `until` is the end of that, None when there is none within two years."""

    responder_id: str
    schedule_id: str
    source: Source | None
    until: datetime | None


class Timeline:
    """Answers for one plan; what has been expanded is remembered."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._first = FIRST * (1 + crc32(plan.schedule.schedule_id.encode()) / 2**32)
        self._expansions: list[_Expansion] = []

    def at(self, instant: datetime) -> tuple[OnCall, ...]:
        """Everybody on call at an instant, by responder."""
        for expansion in self._expansions:
            if expansion.starts_at <= instant < expansion.ends_at:
                people = expansion.at(instant)
                if people is not None:
                    return people
        return self._expand(instant)

    def after(self, instant: datetime) -> tuple[OnCall, ...]:
        """Everybody on call after the next handover to other people, by responder; nobody when there is none."""
        present = _ids(self.at(instant))
        for reach in _reaches(self._first):
            expansion = _Expansion(self.plan, Interval(instant, instant + reach), reach >= LONGEST)
            people = expansion.other_than(present)
            if people:
                return people
        return ()

    def _expand(self, instant: datetime) -> tuple[OnCall, ...]:
        for reach in _reaches(self._first):
            expansion = _Expansion(self.plan, Interval(instant - BACK, instant + reach), reach >= LONGEST)
            people = expansion.at(instant)
            if people is not None:
                self._expansions = [expansion, *self._expansions[: KEPT - 1]]
                return people
        raise AssertionError("the longest expansion answers everything")


def _reaches(first: timedelta) -> Iterator[timedelta]:
    reach = first
    while reach < LONGEST:
        yield reach
        reach *= FURTHER
    yield LONGEST


def _ids(people: tuple[OnCall, ...]) -> list[str]:
    return [person.responder_id for person in people]


class _Expansion:
    """The people of a window and until when each is on call; None in place of people whose end lies beyond it."""

    def __init__(self, plan: Plan, within: Interval, longest: bool) -> None:
        self.starts_at, self.ends_at = within
        self._schedule_id = plan.schedule.schedule_id
        self._longest = longest
        self._starts: list[datetime] = []
        self._people: list[tuple[OnCall, ...] | None] = []
        self._fill(cover(plan, within))

    def at(self, instant: datetime) -> tuple[OnCall, ...] | None:
        """The people at an instant of the window."""
        return self._people[bisect_right(self._starts, instant) - 1]

    def other_than(self, present: list[str]) -> tuple[OnCall, ...] | None:
        """The first people of the window who are not the same; None when there are none, or when an end is beyond."""
        for people in self._people:
            if people is None or (people and _ids(people) != present):
                return people
        return None

    def _fill(self, stretches: list[Stretch]) -> None:
        """From the last stretch to the first, so that the end of each person's time is known."""
        following, until = self.ends_at, dict[Present, datetime]()
        for starts_at, ends_at, people in reversed(stretches):
            if ends_at != following:
                self._add(ends_at, {})
                until = {}
            until = {present: until.get(present, ends_at) for present in people}
            self._add(starts_at, until)
            following = starts_at
        if following != self.starts_at:
            self._add(self.starts_at, {})
        self._starts.reverse()
        self._people.reverse()

    def _add(self, starts_at: datetime, until: dict[Present, datetime]) -> None:
        self._starts.append(starts_at)
        self._people.append(self._on_call(until))

    def _on_call(self, until: dict[Present, datetime]) -> tuple[OnCall, ...] | None:
        if not self._longest and self.ends_at in until.values():
            return None
        return tuple(
            OnCall(
                present.responder_id, self._schedule_id, present.source, at if at != self.ends_at else None
            )
            for present, at in until.items()
        )
