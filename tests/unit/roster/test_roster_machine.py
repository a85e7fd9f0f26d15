"""Edits, overrides, time off and swaps in any order: who is on call is what a model says that keeps lists of turns."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chassis.errors import DomainError
from services.roster.domain import swap as verbs
from services.roster.domain.coverage import Plan, cover, marked, segments
from services.roster.domain.interval import Interval
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override
from services.roster.domain.succession import succeed
from services.roster.domain.swap import By, State, Swap
from services.roster.domain.time_off import Rule, TimeOff, leave
from services.roster.domain.timeline import Timeline
from tests.unit.roster.brute_force import overridden

ZERO = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
TURN, AHEAD = 6, 24
"""Hours of a turn, and hours looked at after now."""
PEOPLE = ["ada", "bob", "cyd", "dan"]
HOURS: TypeAlias = tuple[int, int]

members = st.lists(st.sampled_from(PEOPLE), min_size=1, unique=True)
people = st.sampled_from(PEOPLE)
rules = st.sampled_from(Rule)
times = st.tuples(st.integers(-3, 20), st.integers(1, 15))
"""Hours from now to a start, and from there to an end."""
pairs = st.permutations(PEOPLE).map(lambda order: (order[0], order[1]))


def at(hour: int) -> datetime:
    """So many hours after the beginning."""
    return ZERO + hour * HOUR


@dataclass
class Model:
    """The turns as lists: whose the turn of now is, and the people whose turns follow it, round and round."""

    owner: str
    following: list[str]
    rule: Rule
    since: int = 0
    off: dict[UUID, tuple[str, HOURS]] = field(default_factory=dict)
    overrides: dict[UUID, Override] = field(default_factory=dict)

    def go(self, hour: int) -> None:
        """Time passes: turns that end are at the end of the line."""
        while self.since < hour // TURN:
            self.owner, self.following = self.following[0], [*self.following[1:], self.following[0]]
            self.since += 1

    def line(self, hour: int) -> list[str]:
        """Who may take the turn of an hour that is not past, the first first."""
        turns = hour // TURN - self.since
        if turns == 0:
            return [self.owner, *self.following]
        first = (turns - 1) % len(self.following)
        return [*self.following[first:], *self.following[:first]]

    def away(self, hour: int) -> set[str]:
        """Everybody on leave in an hour."""
        return {person for person, (start, end) in self.off.values() if start <= hour < end}

    def serving(self, hour: int) -> str:
        """Whom the layer puts on call; empty for nobody."""
        line = self.line(hour)
        if self.rule is Rule.FLAG:
            return line[0]
        return next((person for person in line if person not in self.away(hour)), "")

    def edit(self, hour: int, after: Sequence[str], rule: Rule) -> None:
        """Whoever has the turn of now keeps it, and the others follow in the new order from there."""
        serving, owner = self.serving(hour), self.owner
        before, self.rule = self.following, rule
        if not self._same_members(after):
            staying = [person for person in [owner, *before] if person in after]
            first = after.index(staying[0]) + (staying[0] == owner) if staying else 0
            self.following = [after[(first + n) % len(after)] for n in range(len(after))]
            self.members = [*after]
            if serving and self.serving(hour) != serving:
                self.owner = serving

    def _same_members(self, after: Sequence[str]) -> bool:
        return [*after] == self.members

    def __post_init__(self) -> None:
        self.members = [self.owner, *self.following[:-1]]

    def on_call(self, hour: int) -> list[str]:
        """Everybody on call in an hour, by name."""
        serving = self.serving(hour)
        active = [o for o in self.overrides.values() if o.starts_at <= at(hour) < o.ends_at]
        return sorted(overridden({serving: "l"} if serving else {}, active))


class RosterMachine(RuleBasedStateMachine):
    """One schedule of one layer, edited like the service edits it, beside the model."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0
        self.made = 0
        self.plan = Plan(Schedule("web", "Web", "UTC", (), ZERO))
        self.swaps: dict[UUID, Swap] = {}

    @initialize(named=members, flag=rules)
    def begin(self, named: list[str], flag: Rule) -> None:
        """The layer of turns begins."""
        self.plan = replace(self.plan, schedule=self._schedule(named, flag))
        self.model = Model(named[0], [*named[1:], named[0]], flag)

    @rule(named=members, flag=rules)
    def edit(self, named: list[str], flag: Rule) -> None:
        """The members and what time off does are edited."""
        edited = succeed(
            self.plan.schedule, self._schedule(named, flag), at(self.now), self.model.away(self.now)
        )
        self.plan = replace(self.plan, schedule=edited)
        self.model.edit(self.now, named, flag)

    @rule(hours=st.integers(1, 9))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.now += hours
        self.model.go(self.now)

    @rule(person=people, time=times)
    def take_leave(self, person: str, time: HOURS) -> None:
        """Somebody enters time off."""
        start, end = self._hours(time)
        entry = TimeOff(self._id(), person, at(start), at(end), "", at(self.now))
        self.plan = replace(self.plan, time_off=[*self.plan.time_off, entry])
        self.model.off[entry.time_off_id] = person, (start, end)

    @precondition(lambda self: self.model.off)
    @rule(data=st.data())
    def give_up_leave(self, data: st.DataObject) -> None:
        """Somebody comes back early."""
        gone = data.draw(st.sampled_from(sorted(self.model.off)))
        kept = [entry for entry in self.plan.time_off if entry.time_off_id != gone]
        self.plan = replace(self.plan, time_off=kept)
        del self.model.off[gone]

    @rule(pair=pairs, time=times, kind=st.sampled_from(["add", "replace", "remove"]))
    def override(self, pair: tuple[str, str], time: HOURS, kind: str) -> None:
        """Cover is added, somebody is replaced or taken off call."""
        start, end = self._hours(time)
        who, instead = None if kind == "remove" else pair[0], None if kind == "add" else pair[1]
        made = Override(self._id(), "web", who, instead, at(start), at(end), at(self.now))
        self._carry_out([made], [])

    @precondition(lambda self: self.model.overrides)
    @rule(data=st.data())
    def delete_override(self, data: st.DataObject) -> None:
        """An override goes, also one that a swap has made."""
        gone = data.draw(st.sampled_from(sorted(self.model.overrides)))
        self._carry_out([], [self.model.overrides[gone]])

    @rule(pair=pairs, everybody=st.booleans(), time=times, back=st.none() | times)
    def ask(self, pair: tuple[str, str], everybody: bool, time: HOURS, back: HOURS | None) -> None:
        """Somebody asks for a swap, in exchange for a later time or not."""
        start, end = self._hours(time)
        returned = None if back is None else (end + 3 + back[0], end + 3 + back[0] + back[1])
        swap = Swap(
            swap_id=self._id(),
            schedule_id="web",
            asker_id=pair[0],
            taker_id=None if everybody else pair[1],
            starts_at=at(start),
            ends_at=at(end),
            return_starts_at=at(returned[0]) if returned else None,
            return_ends_at=at(returned[1]) if returned else None,
            note="",
            state=State.ASKED,
            created_at=at(self.now),
            changed_at=at(self.now),
        )
        self.swaps[swap.swap_id] = swap

    @precondition(lambda self: self.swaps)
    @rule(data=st.data(), person=people, verb=st.sampled_from(["offer", "accept", "decline", "cancel"]))
    def move(self, data: st.DataObject, person: str, verb: str) -> None:
        """Somebody says a verb, who may or may not; what is refused changes nothing."""
        before = self.swaps[data.draw(st.sampled_from(sorted(self.swaps)))]
        after = self._said(verb, before, By(person))
        if verb == "accept" and after.state is State.ACCEPTED and before.state is not State.ACCEPTED:
            taker = after.taker_id
            made = [
                self._replacement(after.override_id, taker, after.asker_id, after.starts_at, after.ends_at)
            ]
            if after.return_starts_at and after.return_ends_at:
                ends = after.return_starts_at, after.return_ends_at
                made.append(self._replacement(after.return_override_id, after.asker_id, taker, *ends))
            assert verbs.agreed(after) == made
            self._carry_out(made, [])
        else:
            assert verbs.agreed(after) == verbs.agreed(before)

    @precondition(lambda self: any(swap.state is State.ACCEPTED for swap in self.swaps.values()))
    @rule(data=st.data(), person=people)
    def undo(self, data: st.DataObject, person: str) -> None:
        """An agreement is taken back: what is left of its overrides goes."""
        accepted = sorted(key for key, swap in self.swaps.items() if swap.state is State.ACCEPTED)
        before = self.swaps[data.draw(st.sampled_from(accepted))]
        after = self._said("undo", before, By(person))
        if after is not before:
            self._carry_out([], verbs.agreed(before))

    @invariant()
    def on_call_is_what_the_model_says(self) -> None:
        """From now on, hour by hour, with what is flagged."""
        window = Interval(at(self.now), at(self.now + AHEAD))
        timeline = Timeline(self.plan)
        found = marked(segments(cover(self.plan, window)), leave(self.plan.time_off, window))
        for hour in range(self.now, self.now + AHEAD):
            expected, away = self.model.on_call(hour), self.model.away(hour)
            assert [person.responder_id for person in timeline.at(at(hour))] == expected
            shown = [
                (segment.responder_id, segment.on_leave)
                for segment in found
                if segment.starts_at <= at(hour) < segment.ends_at
            ]
            assert sorted(shown) == [(person, person in away) for person in expected]

    def _schedule(self, named: list[str], flag: Rule) -> Schedule:
        rotation = Rotation(Unit.HOURLY, TURN, ZERO.replace(tzinfo=None))
        return replace(self.plan.schedule, layers=(Layer("l", tuple(named), rotation, time_off=flag),))

    def _id(self) -> UUID:
        self.made += 1
        return UUID(int=self.made)

    def _hours(self, time: HOURS) -> HOURS:
        start = self.now + time[0]
        return start, start + time[1]

    def _replacement(
        self, key: UUID | None, who: str | None, instead: str | None, start: datetime, end: datetime
    ) -> Override:
        assert key is not None
        return Override(key, "web", who, instead, start, end, at(self.now))

    def _said(self, verb: str, before: Swap, by: By) -> Swap:
        """The swap after a verb; as it was when the verb is refused or denied."""
        ids = self._id(), self._id()
        said: dict[str, Callable[[], Swap]] = {
            "offer": lambda: verbs.offer(before, by, at(self.now)),
            "accept": lambda: verbs.accept(before, by, at(self.now), ids),
            "decline": lambda: verbs.decline(before, by, at(self.now)),
            "cancel": lambda: verbs.cancel(before, by, at(self.now)),
            "undo": lambda: verbs.undo(before, by, at(self.now)),
        }
        try:
            after = said[verb]()
        except DomainError:
            return before
        self.swaps[before.swap_id] = after
        return after

    def _carry_out(self, made: Sequence[Override], gone: Sequence[Override]) -> None:
        ids = {override.override_id for override in gone}
        kept = [override for override in self.plan.overrides if override.override_id not in ids]
        self.plan = replace(self.plan, overrides=[*kept, *made])
        for override in gone:
            self.model.overrides.pop(override.override_id, None)
        self.model.overrides |= {override.override_id: override for override in made}


def test_any_order_of_changes() -> None:
    run_state_machine_as_test(
        RosterMachine, settings=settings(max_examples=50, stateful_step_count=20, deadline=None)
    )
