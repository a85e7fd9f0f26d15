"""What an alert's next step is: a pure function of its policy, its timer, who is on call, and `now`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never
from uuid import UUID

from chassis.errors import Invalid
from services.escalation.domain.alert import (
    Alert,
    By,
    Change,
    EventType,
    Execution,
    Happened,
    Quiet,
    State,
    closed,
    escalated,
    quieted,
    released,
    woken,
)
from services.escalation.domain.policy import EscalationPolicy, Step
from services.escalation.domain.timer import Kind, Reason, Timer

AUTO_CLOSE = "auto-close"
"""Who is said to have closed an alert that stopped arriving."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Whom a target means. `stale`: roster was away, and this is what it said last."""

    responders: tuple[str, ...]
    stale: bool = False


class Outcome(StrEnum):
    """What became of a timer that was due."""

    TOLD = "TOLD"
    TOLD_STALE = "TOLD_STALE"
    NOBODY = "NOBODY"
    EXHAUSTED = "EXHAUSTED"
    WOKEN = "WOKEN"
    QUIETED = "QUIETED"
    STEADY = "STEADY"
    STILL_COMING = "STILL_COMING"
    AUTO_CLOSED = "AUTO_CLOSED"
    NOT_NEEDED = "NOT_NEEDED"
    NOT_OPEN = "NOT_OPEN"
    ROSTER_AWAY = "ROSTER_AWAY"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a timer that is due, and why.

    The timer is used up, unless the change arms another or the outcome is ROSTER_AWAY: then it stays, for later.
    """

    outcome: Outcome
    change: Change
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A level of a policy, in the how manieth time through its steps."""

    level: int
    round: int
    step: Step


def place(policy: EscalationPolicy, timer: Timer) -> Place | None:
    """Where the timer stands in the policy as it is now; None when the steps are exhausted."""
    steps = policy.steps
    if timer.level <= len(steps):
        return Place(timer.level, timer.round, steps[timer.level - 1])
    if timer.targets:
        return Place(timer.level, timer.round, steps[-1])
    if timer.round < policy.repeat_count:
        return Place(1, timer.round + 1, steps[0])
    return None


def targets(policy: EscalationPolicy, timer: Timer) -> tuple[str, ...]:
    """Whom roster must be asked for before the timer can be decided."""
    if timer.kind is not Kind.ESCALATE:
        return ()
    found = place(policy, timer)
    return timer.targets or (found.step.targets if found else ())


def decide(
    policy: EscalationPolicy,
    alert: Alert,
    timer: Timer,
    resolved: Mapping[str, Cover],
    now: datetime,
    *,
    execution_id: UUID,
    auto_close_after: timedelta | None = None,
) -> Decision:
    """What is done about a timer that is due; `resolved` lacks the targets that nobody could say anything about."""
    match timer.kind:
        case Kind.STEADY:
            change = released(alert, now)
            return Decision(Outcome.STEADY if change.events else Outcome.NOT_OPEN, change)
        case Kind.CLOSE:
            return ceased(alert, auto_close_after, now)
        case Kind.WAKE:
            change = woken(alert, now)
            return Decision(Outcome.WOKEN if change.events else Outcome.NOT_OPEN, change)
        case Kind.ESCALATE:
            if alert.state is not State.OPEN:
                return Decision(Outcome.NOT_OPEN, Change(alert))
            found = place(policy, timer)
            if found is None:
                return _exhausted(alert, now)
            return _told(policy, alert, timer, found, resolved, now, execution_id)
        case never:
            assert_never(never)


def ceased(alert: Alert, after: timedelta | None, now: datetime) -> Decision:
    """The alert closes when it has not been triggered for so long; else its timer waits for when that would be.

    Triggers do not touch the timer: it looks at them when it is due.
    """
    if alert.state is State.CLOSED:
        return Decision(Outcome.NOT_OPEN, Change(alert))
    if after is None:
        return Decision(Outcome.NOT_NEEDED, Change(alert))
    if (due_at := alert.last_triggered_at + after) > now:
        return Decision(Outcome.STILL_COMING, Change(alert, timer=Timer(alert.alert_id, Kind.CLOSE, due_at)))
    note = f"not triggered for {after.total_seconds():g} s"
    return Decision(Outcome.AUTO_CLOSED, closed(alert, By(AUTO_CLOSE, note), now))


def hushed(alert: Alert, quiet: Quiet, now: datetime) -> Decision:
    """A step is due of an alert that something keeps quiet by now: nobody is told."""
    return Decision(Outcome.QUIETED, quieted(alert, quiet, now))


def _told(
    policy: EscalationPolicy,
    alert: Alert,
    timer: Timer,
    found: Place,
    resolved: Mapping[str, Cover],
    now: datetime,
    execution_id: UUID,
) -> Decision:
    asked = timer.targets or found.step.targets
    covers = [resolved[target] for target in asked if target in resolved]
    recipients = tuple(dict.fromkeys(person for cover in covers for person in cover.responders))
    stale = len(covers) < len(asked) or any(cover.stale for cover in covers)
    if stale and not recipients:
        return Decision(Outcome.ROSTER_AWAY, Change(alert))
    execution = Execution(
        execution_id=execution_id,
        alert_id=alert.alert_id,
        policy_id=policy.policy_id,
        level=found.level,
        reason=timer.reason,
        targets=asked,
        recipients=recipients,
        at=now,
        stale=stale,
    )
    after = alert._replace(escalation_level=found.level, version=alert.version + 1)
    event = Happened(EventType.ESCALATED, after, now, execution=execution)
    change = Change(after, (event,), timer=_following(policy, timer, found, now, told=bool(recipients)))
    outcome = Outcome.NOBODY if not recipients else Outcome.TOLD_STALE if stale else Outcome.TOLD
    return Decision(outcome, change, execution)


def _following(policy: EscalationPolicy, timer: Timer, found: Place, now: datetime, *, told: bool) -> Timer:
    """The next level when the time to acknowledge is over, or at once when there was nobody to tell.

    Only a further time through the steps is waited for in either case: somebody may be on call by then.
    """
    again = found.level >= len(policy.steps) and found.round < policy.repeat_count
    wait = told or again
    return Timer(
        timer.alert_id,
        Kind.ESCALATE,
        now + found.step.ack_timeout if wait else now,
        level=found.level + 1,
        round=found.round,
        reason=Reason.ACK_TIMEOUT,
    )


def _exhausted(alert: Alert, now: datetime) -> Decision:
    after = alert._replace(version=alert.version + 1)
    return Decision(Outcome.EXHAUSTED, Change(after, (Happened(EventType.EXHAUSTED, after, now),)))


def escalated_by_hand(policy: EscalationPolicy, alert: Alert, by: By, level: int, now: datetime) -> Change:
    """Somebody asks for a level, or with 0 for the next one; after the last level comes the first.

    Raises Invalid for a level that the policy does not have, Refused for a closed or suppressed alert.
    """
    most = len(policy.steps)
    if not 0 <= level <= most:
        raise Invalid.field("level", f"is {level}; want 0 to {most}: policy {policy.policy_id} has {most}")
    return escalated(alert, by, level or alert.escalation_level % most + 1, now)
