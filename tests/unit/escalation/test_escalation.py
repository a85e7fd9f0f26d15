"""What the next step is: by level, time, who is on call, and what the policy says by then."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Invalid, Refused
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, By, EventType, Report, Severity, State
from services.escalation.domain.course import targets
from services.escalation.domain.escalation import (
    Cover,
    Decision,
    Known,
    Outcome,
    decide,
    escalated_by_hand,
)
from services.escalation.domain.policy import BUILT_IN, EscalationPolicy, Step
from services.escalation.domain.timer import Kind, Reason, Timer

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ID, STEP = UUID(int=7), UUID(int=8)
ALICE, BOB = Cover(("alice",)), Cover(("bob",))
MINUTE = timedelta(minutes=1)
ALERT = verbs.opened(
    Report("t", "", Severity.HIGH, "", "", {}), alert_id=ID, policy_id="p", quiet=None, now=NOW
).alert
FIRST = Timer(ID, Kind.ESCALATE, NOW)


def policy(*steps: str, repeat_count: int = 0) -> EscalationPolicy:
    """A policy whose steps have one or more targets, separated by blanks, and a minute each."""
    return replace(
        BUILT_IN,
        policy_id="p",
        catch_all="oncall://active",
        steps=tuple(Step(tuple(step.split()), MINUTE) for step in steps),
        repeat_count=repeat_count,
    )


def step(
    rules: EscalationPolicy, timer: Timer, covers: Mapping[str, Cover], alert: Alert = ALERT
) -> Decision:
    """What is decided now."""
    return decide(rules, alert, timer, Known(covers), NOW, execution_id=STEP)


def test_the_first_level_is_told() -> None:
    """And the next one is due when its time to acknowledge is over."""
    decision = step(policy("a", "b"), FIRST, {"a": ALICE})
    assert decision.outcome is Outcome.TOLD
    execution = decision.execution
    assert execution is not None
    assert (execution.execution_id, execution.level, execution.reason) == (STEP, 1, Reason.INITIAL)
    assert (execution.targets, execution.recipients, execution.at) == (("a",), ("alice",), NOW)
    change = decision.change
    assert (change.alert.escalation_level, change.alert.version) == (1, 2)
    assert change.timer == Timer(
        ID, Kind.ESCALATE, NOW + MINUTE, level=2, reason=Reason.ACK_TIMEOUT, told=True
    )
    assert [event.type for event in change.events] == [EventType.ESCALATED]
    assert change.events[0].execution is execution


def test_everybody_is_told_once() -> None:
    """Also who is meant by several targets of the level."""
    covers = {"a": Cover(("x", "y")), "b": Cover(("y", "z"))}
    decision = step(policy("a b"), FIRST, covers)
    assert decision.execution is not None
    assert decision.execution.recipients == ("x", "y", "z")


def test_after_the_last_level_it_is_exhausted() -> None:
    """When the last one's time to acknowledge is over."""
    decision = step(policy("a"), FIRST._replace(level=2, told=True), {})
    assert (decision.outcome, decision.execution, decision.change.timer) == (Outcome.EXHAUSTED, None, None)
    assert [event.type for event in decision.change.events] == [EventType.EXHAUSTED]
    assert decision.change.alert.state is State.OPEN


def test_the_steps_are_gone_through_again() -> None:
    """So often as the policy says by then."""
    late = FIRST._replace(level=3, round=0, reason=Reason.ACK_TIMEOUT, told=True)
    decision = step(policy("a", "b", repeat_count=1), late, {"a": ALICE})
    assert decision.execution is not None
    assert (decision.execution.level, decision.execution.reason) == (1, Reason.ACK_TIMEOUT)
    assert decision.change.timer is not None
    assert (decision.change.timer.level, decision.change.timer.round) == (2, 1)
    assert step(policy("a", "b", repeat_count=1), late._replace(round=1), {}).outcome is Outcome.EXHAUSTED


def test_a_policy_with_fewer_steps_than_before() -> None:
    """Is gone through again or exhausted where the level is gone."""
    late = FIRST._replace(level=5, told=True)
    assert step(policy("a"), late, {}).outcome is Outcome.EXHAUSTED
    assert step(policy("a", repeat_count=1), late, {"a": ALICE}).outcome is Outcome.TOLD


@pytest.mark.parametrize("state", [State.ACKED, State.CLOSED, State.SUPPRESSED])
def test_only_open_alerts_escalate(state: State) -> None:
    """A timer that is left of what somebody has taken does nothing."""
    decision = step(policy("a"), FIRST, {"a": ALICE}, ALERT._replace(state=state))
    assert (decision.outcome, decision.execution, decision.change.events) == (Outcome.NOT_OPEN, None, ())


def test_nobody_to_tell_goes_on_at_once() -> None:
    """Except into a further time through the steps, and the step is recorded."""
    decision = step(policy("a", "b"), FIRST, {"a": Cover(())})
    assert decision.outcome is Outcome.NOBODY
    assert decision.execution is not None
    assert decision.execution.recipients == ()
    assert decision.change.timer is not None
    assert decision.change.timer.due_at == NOW
    told = FIRST._replace(told=True)
    last = step(policy("a", repeat_count=1), told, {"a": Cover(())})
    assert last.change.timer is not None
    assert last.change.timer.due_at == NOW + MINUTE
    over = step(policy("a"), FIRST, {"a": Cover(())})
    assert over.change.timer is not None
    assert over.change.timer.due_at == NOW


def test_the_last_known_coverage_is_marked() -> None:
    """As soon as any part of it is not fresh."""
    decision = step(policy("a b"), FIRST, {"a": ALICE, "b": Cover(("bob",), stale=True)})
    assert decision.outcome is Outcome.TOLD_STALE
    assert decision.execution is not None
    assert decision.execution.stale


@pytest.mark.parametrize("covers", [{}, {"a": Cover((), stale=True)}])
def test_a_level_that_nobody_is_known_for_waits(covers: dict[str, Cover]) -> None:
    """Roster may know somebody: the level is not skipped."""
    decision = step(policy("a", "b"), FIRST, covers)
    assert (decision.outcome, decision.execution, decision.change.timer) == (Outcome.ROSTER_AWAY, None, None)
    assert decision.change.alert == ALERT


def test_other_targets_stand_in_for_the_level() -> None:
    """And the level after it follows."""
    timer = FIRST._replace(level=2, reason=Reason.MANUAL, targets=("c",))
    assert targets(policy("a", "b", "d"), Severity.HIGH, timer, NOW) == ["c"]
    decision = step(policy("a", "b", "d"), timer, {"c": Cover(("carol",))})
    assert decision.execution is not None
    assert (decision.execution.level, decision.execution.recipients) == (2, ("carol",))
    assert decision.change.timer is not None
    assert (decision.change.timer.level, decision.change.timer.targets) == (3, ())


def test_a_snoozed_alert_wakes_up() -> None:
    """Only when it still sleeps."""
    asleep = verbs.snoozed(ALERT, By("alice"), NOW, NOW).alert
    wake = Timer(ID, Kind.WAKE, NOW)
    assert targets(policy("a"), Severity.HIGH, wake, NOW) == ()
    assert step(policy("a"), wake, {}, asleep).outcome is Outcome.WOKEN
    assert step(policy("a"), wake, {}).outcome is Outcome.NOT_OPEN


@pytest.mark.parametrize(
    ("present", "asked", "level"), [(0, 0, 1), (1, 0, 2), (2, 0, 1), (1, 1, 1), (0, 2, 2)]
)
def test_by_hand_the_next_level_or_a_chosen_one(present: int, asked: int, level: int) -> None:
    """After the last comes the first."""
    change = escalated_by_hand(
        policy("a", "b"), ALERT._replace(escalation_level=present), By("alice"), asked, NOW
    )
    assert change.timer is not None
    assert (change.timer.level, change.timer.reason) == (level, Reason.MANUAL)


def test_by_hand_no_level_that_is_not_there() -> None:
    """Nor of an alert that is over."""
    for level in (-1, 3):
        with pytest.raises(Invalid):
            escalated_by_hand(policy("a", "b"), ALERT, By("alice"), level, NOW)
    with pytest.raises(Refused):
        escalated_by_hand(policy("a"), ALERT._replace(state=State.CLOSED), By("alice"), 1, NOW)


@given(
    st.lists(st.booleans(), min_size=1, max_size=5),
    st.integers(min_value=0, max_value=3),
)
def test_every_level_is_taken_in_turn_and_it_ends(somebody: list[bool], repeat_count: int) -> None:
    """However many steps are empty: each level once per time through the steps, in order, then exhausted."""
    rules = policy(*(f"t{n}" for n in range(len(somebody))), repeat_count=repeat_count)
    covers = {f"t{n}": Cover(("x",) if there else ()) for n, there in enumerate(somebody)}
    covers["oncall://active"] = Cover(())
    alert, timer = ALERT, FIRST
    now = NOW
    levels: list[int] = []
    while True:
        decision = decide(rules, alert, timer, Known(covers), now, execution_id=STEP)
        alert = decision.change.alert
        if decision.execution is not None:
            levels.append(decision.execution.level)
        if decision.change.timer is None:
            break
        assert decision.change.timer.due_at >= now
        timer, now = decision.change.timer, decision.change.timer.due_at
    assert levels == list(range(1, len(somebody) + 1)) * (repeat_count + 1)
    assert decision.outcome is (Outcome.EXHAUSTED if any(somebody) else Outcome.UNTOLD)
    assert alert.exhausted_at == now
