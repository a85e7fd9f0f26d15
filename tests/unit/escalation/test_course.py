"""Levels for some alerts and hours, in turn, passed over, caught; handovers; and what makes the next level hurry."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, By, EventType, State
from services.escalation.domain.condition import Condition
from services.escalation.domain.course import hastened, targets, turns, unheard
from services.escalation.domain.escalation import Cover, Decision, Known, Outcome, decide
from services.escalation.domain.policy import EscalationPolicy, Handover, Selection, Step
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.domain.turns import Turn
from tests.unit.escalation.test_escalation import ALERT, BOB, FIRST, ID, MINUTE, NOW, STEP, policy

NOBODY, ACTIVE = Cover(()), "oncall://active"
CRITICAL = Condition(severities=frozenset({"CRITICAL"}))
AT_LEVEL_1 = ALERT._replace(escalation_level=1)


def step(
    rules: EscalationPolicy, timer: Timer, covers: Mapping[str, Cover], alert: Alert = ALERT, **known: Any
) -> Decision:
    """What is decided now; nothing is asked of roster but what must be known."""
    asked = targets(rules, alert.severity, timer, NOW)
    answers = {target: covers.get(target, NOBODY) for target in asked}
    return decide(rules, alert, timer, Known(answers, **known), NOW, execution_id=STEP)


def with_steps(*steps: Step, **fields: Any) -> EscalationPolicy:
    """A policy of these steps."""
    return replace(policy("a"), steps=steps, **fields)


def following(decision: Decision) -> Timer:
    """The timer that follows."""
    assert decision.change.timer is not None
    return decision.change.timer


def told(decision: Decision) -> tuple[int, tuple[str, ...]]:
    """The level and the people who are told."""
    assert decision.execution is not None
    return decision.execution.level, decision.execution.recipients


def test_a_level_that_is_not_for_the_alert_is_passed_over() -> None:
    """It leaves no trace, and roster is not asked about it."""
    rules = with_steps(Step(("a",), condition=CRITICAL), Step(("b",), MINUTE))
    assert targets(rules, "HIGH", FIRST, NOW) == ["b"]
    decision = step(rules, FIRST, {"b": BOB})
    assert (told(decision), len(decision.change.events)) == ((2, ("bob",)), 1)
    assert told(step(rules, FIRST, {"a": BOB}, ALERT._replace(severity=verbs.Severity.CRITICAL))) == (
        1,
        ("bob",),
    )


def test_a_level_that_somebody_asks_for_is_told_whatever_its_condition() -> None:
    """He knows better."""
    rules = with_steps(Step(("a",)), Step(("b",), condition=CRITICAL), Step(("c",)))
    by_hand = FIRST._replace(level=2, reason=Reason.MANUAL)
    assert told(step(rules, by_hand, {"b": BOB})) == (2, ("bob",))
    assert told(step(rules, FIRST._replace(level=2), {"c": BOB})) == (3, ("bob",))


def test_an_empty_level_is_passed_over_where_it_may_be() -> None:
    """And recorded where it may not."""
    rules = with_steps(Step(("a",), skip_if_empty=True), Step(("b",)))
    decision = step(rules, FIRST, {"b": BOB})
    assert (told(decision), decision.outcome) == ((2, ("bob",)), Outcome.TOLD)
    assert told(step(rules, FIRST, {"a": BOB})) == (1, ("bob",))
    empty = step(rules, FIRST._replace(level=2), {})
    assert (empty.outcome, following(empty).due_at, following(empty).told) == (Outcome.NOBODY, NOW, False)


def test_when_all_are_passed_over_the_catch_all_is_told() -> None:
    """Marked as such; afterwards the escalation is exhausted."""
    rules = with_steps(
        Step(("a",), skip_if_empty=True),
        Step(("b",), MINUTE, condition=CRITICAL),
        catch_all="responder://boss",
    )
    decision = step(rules, FIRST, {"responder://boss": Cover(("boss",))})
    assert decision.outcome is Outcome.CATCH_ALL
    assert decision.execution is not None
    assert (decision.execution.catch_all, decision.execution.targets) == (True, ("responder://boss",))
    assert (decision.execution.reason, decision.execution.recipients) == (Reason.INITIAL, ("boss",))
    after = following(decision)
    assert (after.due_at, after.level, after.told) == (NOW + MINUTE, 3, True)
    assert step(rules, after, {}).outcome is Outcome.EXHAUSTED


def test_the_catch_all_is_not_for_those_who_were_told() -> None:
    """One level that told somebody is enough."""
    rules = with_steps(Step(("a",)), Step(("b",)))
    first = step(rules, FIRST, {"a": BOB})
    second = step(rules, following(first), {})
    assert second.outcome is Outcome.NOBODY
    assert step(rules, following(second), {ACTIVE: BOB}).outcome is Outcome.EXHAUSTED


def test_a_catch_all_that_means_nobody() -> None:
    """A further time through the steps is waited for; without one, it is known that nobody was ever told."""
    end = FIRST._replace(level=2)
    assert step(policy("a"), end, {}).outcome is Outcome.UNTOLD
    waiting = step(policy("a", repeat_count=1), end, {})
    assert (waiting.outcome, waiting.execution, following(waiting).due_at) == (
        Outcome.WAITING,
        None,
        NOW + MINUTE,
    )
    assert told(step(policy("a", repeat_count=1), following(waiting), {"a": BOB})) == (1, ("bob",))
    assert decide(policy("a"), ALERT, end, Known({}), NOW, execution_id=STEP).outcome is Outcome.ROSTER_AWAY


def test_the_rest_of_the_steps_passed_over() -> None:
    """Somebody was told before: the steps begin again at once, or are exhausted."""
    late = FIRST._replace(level=2, told=True)
    rules = with_steps(Step(("a",)), Step(("b",), skip_if_empty=True), repeat_count=1)
    skipped = step(rules, late, {})
    assert (skipped.outcome, following(skipped).due_at) == (Outcome.SKIPPED, NOW)
    assert told(step(rules, following(skipped), {"a": BOB})) == (1, ("bob",))
    assert step(rules, late._replace(round=1), {}).outcome is Outcome.EXHAUSTED


def test_in_turn() -> None:
    """One is told, and the turn moves on."""
    rules = with_steps(Step(("a",), selection=Selection.ROUND_ROBIN))
    assert turns(rules, "HIGH", FIRST, NOW) == [("p", 1)]
    both = {"a": Cover(("alice", "bob"))}
    first = step(rules, FIRST, both)
    assert (told(first), first.turn) == ((1, ("alice",)), Turn("p", 1, ("alice",)))
    second = step(rules, FIRST, both, turns={("p", 1): Turn("p", 1, ("alice",))})
    assert told(second) == (1, ("bob",))
    assert step(rules, FIRST, {}).turn is None


HANDOVER = Timer(
    ID, Kind.HANDOVER, NOW - MINUTE, 1, reason=Reason.SHIFT_HANDOVER, targets=("a",), people=("bob", "carol")
)


def test_whoever_comes_is_told_at_the_same_level() -> None:
    """And the time to acknowledge goes on."""
    decision = step(policy("a"), HANDOVER, {"a": Cover(("alice", "bob", "carol"))}, AT_LEVEL_1)
    assert decision.execution is not None
    assert (decision.execution.reason, told(decision)) == (Reason.SHIFT_HANDOVER, (1, ("bob", "carol")))
    assert (decision.change.timer, decision.change.hush) == (None, False)
    assert [event.type for event in decision.change.events] == [EventType.ESCALATED]


def test_only_those_who_are_on_call_by_now_and_were_not_told() -> None:
    """However late the handover is told of, and however often."""
    later = {"a": Cover(("dave", "carol"))}
    assert told(step(policy("a"), HANDOVER, later, AT_LEVEL_1)) == (1, ("carol",))
    again = step(policy("a"), HANDOVER, later, AT_LEVEL_1, told_since={ID: frozenset({"carol"})})
    assert (again.outcome, again.execution) == (Outcome.NOT_NEEDED, None)
    gone = step(policy("a"), HANDOVER, {"a": Cover(("dave",))}, AT_LEVEL_1)
    assert gone.outcome is Outcome.NOT_NEEDED


def test_roster_away_at_a_handover() -> None:
    """Its own word counts: what it said before does not know who comes."""
    for covers in ({}, {"a": Cover(("alice",), stale=True)}):
        decision = decide(policy("a"), AT_LEVEL_1, HANDOVER, Known(covers), NOW, execution_id=STEP)
        assert (decision.outcome, told(decision)) == (Outcome.TOLD_STALE, (1, ("bob", "carol")))


def test_a_level_that_came_meanwhile() -> None:
    """It knew who was on call."""
    decision = step(policy("a"), HANDOVER, {"a": BOB}, ALERT._replace(escalation_level=2))
    assert decision.outcome is Outcome.NOT_NEEDED


@pytest.mark.parametrize(
    ("handover", "states"),
    [
        (Handover.OFF, []),
        (Handover.OPEN_ONLY, [State.OPEN]),
        (Handover.OPEN_AND_ACKED, [State.OPEN, State.ACKED]),
    ],
)
def test_which_alerts_are_handed_over(handover: Handover, states: list[State]) -> None:
    """As the policy says; never one that sleeps. One that is taken stays so."""
    rules = replace(policy("a"), handover=handover)
    for state in State:
        alert = AT_LEVEL_1._replace(state=state)
        decision = step(rules, HANDOVER, {"a": BOB}, alert)
        assert (decision.execution is not None) == (state in states)
        assert decision.change.alert.state is state
        assert step(rules, HANDOVER, {"a": BOB}, alert._replace(snoozed_until=NOW)).execution is None


def test_so_many_triggers_make_the_next_level_hurry() -> None:
    """At once, with the reason; a step that is due anyway is taken first."""
    waiting = Timer(ID, Kind.ESCALATE, NOW + MINUTE, 2, reason=Reason.ACK_TIMEOUT, told=True)
    sooner = hastened(policy("a", "b"), ID, waiting, NOW)
    assert sooner == waiting._replace(due_at=NOW, reason=Reason.REPEAT_TRIGGER)
    first = hastened(policy("a", "b"), ID, FIRST, NOW)
    assert first == FIRST._replace(hurry=True)
    after = following(step(policy("a", "b"), first, {"a": BOB}))
    assert (after.level, after.due_at, after.reason, after.hurry) == (2, NOW, Reason.REPEAT_TRIGGER, False)


@pytest.mark.parametrize("timer", [None, Timer(ID, Kind.ESCALATE, NOW + MINUTE, 3, 1, told=True)])
def test_after_the_last_level_comes_the_first(timer: Timer | None) -> None:
    """For the last time."""
    begun = hastened(policy("a", "b", repeat_count=1), ID, timer, NOW)
    assert begun == Timer(ID, Kind.ESCALATE, NOW, 1, 1, Reason.REPEAT_TRIGGER)


def test_a_step_that_reached_nobody() -> None:
    """The next level follows at once; after the last, the catch-all when nobody was reached at all."""
    rules, waiting = policy("a", "b", repeat_count=1), Timer(ID, Kind.ESCALATE, NOW + MINUTE, 2, told=True)
    assert unheard(rules, waiting, NOW, heard=False, catch_all=False) == waiting._replace(
        due_at=NOW, told=False
    )
    assert unheard(rules, FIRST, NOW, heard=False, catch_all=False) is None
    end = waiting._replace(level=3)
    assert unheard(rules, end, NOW, heard=True, catch_all=False) is None
    caught = unheard(rules, end, NOW, heard=False, catch_all=False)
    assert caught is not None
    assert step(rules, caught, {ACTIVE: BOB}).outcome is Outcome.CATCH_ALL
    assert unheard(rules, end, NOW, heard=False, catch_all=True) is None
    over = unheard(rules, end._replace(round=1), NOW, heard=False, catch_all=True)
    assert over is not None
    assert step(rules, over, {}).outcome is Outcome.EXHAUSTED


def test_what_is_taken_and_forgotten_opens_again() -> None:
    """As the policy is by then: it may give longer, or not ask any more."""
    taken = verbs.acknowledged(ALERT, By("alice"), NOW - MINUTE).alert
    timer = Timer(ID, Kind.REOPEN, NOW)
    forgetful = replace(policy("a"), reopen_after=MINUTE)
    decision = step(forgetful, timer, {}, taken)
    assert (decision.outcome, decision.change.alert.state) == (Outcome.REOPENED, State.OPEN)
    assert following(decision) == FIRST
    longer = step(replace(forgetful, reopen_after=2 * MINUTE), timer, {}, taken)
    assert (longer.outcome, following(longer).due_at) == (Outcome.WAITING, NOW + MINUTE)
    assert step(policy("a"), timer, {}, taken).outcome is Outcome.NOT_NEEDED
    assert step(forgetful, timer, {}).outcome is Outcome.NOT_OPEN
    asleep = verbs.snoozed(taken, By("alice"), NOW + timedelta(hours=1), NOW).alert
    assert step(forgetful, timer, {}, asleep).outcome is Outcome.NOT_OPEN
