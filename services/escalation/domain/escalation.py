"""What becomes of a timer that is due: a pure function of its policy, its alert, who is on call, and `now`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
)
from services.escalation.domain.course import Course, Place, course
from services.escalation.domain.policy import EscalationPolicy, Handover, Selection
from services.escalation.domain.quieting import quieted, released
from services.escalation.domain.reopening import forgotten, woken
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.domain.turns import Turn, next_in_turn

AUTO_CLOSE = "auto-close"
"""Who is said to have closed an alert that stopped arriving."""


@dataclass(frozen=True, slots=True)
class Cover:
    """Whom a target means. `stale`: roster was away, and this is what it said last."""

    responders: tuple[str, ...]
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """What is known when timers are decided.

    `covers` lacks the targets that nobody can say anything about; `turns` are those of the levels, by policy, that
    tell people in turn; `told_since` names, by alert, whom its steps have told since the handover that is decided.
    """

    covers: Mapping[str, Cover]
    turns: Mapping[tuple[str, int], Turn] = field(default_factory=dict)
    told_since: Mapping[UUID, frozenset[str]] = field(default_factory=dict)


class Outcome(StrEnum):
    """What became of a timer that was due."""

    TOLD = "TOLD"
    TOLD_STALE = "TOLD_STALE"
    NOBODY = "NOBODY"
    CATCH_ALL = "CATCH_ALL"
    SKIPPED = "SKIPPED"
    WAITING = "WAITING"
    EXHAUSTED = "EXHAUSTED"
    UNTOLD = "UNTOLD"
    WOKEN = "WOKEN"
    QUIETED = "QUIETED"
    STEADY = "STEADY"
    STILL_COMING = "STILL_COMING"
    AUTO_CLOSED = "AUTO_CLOSED"
    REOPENED = "REOPENED"
    NOT_OPEN = "NOT_OPEN"
    NOT_NEEDED = "NOT_NEEDED"
    ROSTER_AWAY = "ROSTER_AWAY"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a timer that is due, and why.

    The timer is used up, unless the change arms another or the outcome is ROSTER_AWAY: then it stays, for later.
    `turn` is the level's turn after this step, where it tells people in turn.
    """

    outcome: Outcome
    change: Change
    execution: Execution | None = None
    turn: Turn | None = None


@dataclass(frozen=True, slots=True)
class _Whom:
    """The people whom targets mean. `unsure`: roster is away and nobody is known."""

    people: tuple[str, ...]
    stale: bool

    @property
    def unsure(self) -> bool:
        return self.stale and not self.people


def decide(
    policy: EscalationPolicy,
    alert: Alert,
    timer: Timer,
    known: Known,
    now: datetime,
    *,
    execution_id: UUID,
    auto_close_after: timedelta | None = None,
) -> Decision:
    """What is done about a timer that is due; `execution_id` is that of the step, should there be one."""
    match timer.kind:
        case Kind.STEADY:
            change = released(alert, now)
            return Decision(Outcome.STEADY if change.events else Outcome.NOT_OPEN, change)
        case Kind.CLOSE:
            return ceased(alert, auto_close_after, now)
        case Kind.WAKE:
            return _opened_again(woken(alert, now), Outcome.WOKEN)
        case Kind.REOPEN:
            return _remembered(policy, alert, now)
        case Kind.HANDOVER:
            return _handed_over(policy, alert, timer, known, now, execution_id)
        case Kind.ESCALATE:
            if alert.state is not State.OPEN:
                return Decision(Outcome.NOT_OPEN, Change(alert))
            return _Step(policy, alert, timer, known, now, execution_id).decide()
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


def to_cease(alert: Alert, armed: Timer | None, after: timedelta) -> Timer | None:
    """What closes an alert that is there when it is not triggered for so long; None where `armed` does in time."""
    due_at = alert.last_triggered_at + after
    if alert.state is State.CLOSED or (armed is not None and armed.due_at <= due_at):
        return None
    return Timer(alert.alert_id, Kind.CLOSE, due_at)


def by_itself(timer: Timer, alert: Alert) -> bool:
    """Whether it is a step that nobody has asked for: silences and inhibition do not hold up people."""
    return timer.kind is Kind.ESCALATE and timer.reason is not Reason.MANUAL and alert.state is State.OPEN


def hushed(alert: Alert, quiet: Quiet, now: datetime) -> Decision:
    """A step is due by itself of an alert that something keeps quiet by now: nobody is told."""
    return Decision(Outcome.QUIETED, quieted(alert, quiet, now))


def _opened_again(change: Change, outcome: Outcome) -> Decision:
    return Decision(outcome if change.events else Outcome.NOT_OPEN, change)


def _remembered(policy: EscalationPolicy, alert: Alert, now: datetime) -> Decision:
    """The alert opens again when the policy, as it is now, gives whoever has taken it no longer."""
    if alert.state is not State.ACKED or alert.acked_at is None:
        return Decision(Outcome.NOT_OPEN, Change(alert))
    if policy.reopen_after is None:
        return Decision(Outcome.NOT_NEEDED, Change(alert))
    if (due_at := alert.acked_at + policy.reopen_after) > now:
        return Decision(Outcome.WAITING, Change(alert, timer=Timer(alert.alert_id, Kind.REOPEN, due_at)))
    return _opened_again(forgotten(alert, now), Outcome.REOPENED)


def _handed_over(
    policy: EscalationPolicy,
    alert: Alert,
    timer: Timer,
    known: Known,
    now: datetime,
    execution_id: UUID,
) -> Decision:
    """Whoever has come on call is told at the level that the alert is at; what it waits for goes on.

    Those who came and are gone again are not told, nor those whom a step since the handover has told. While roster is
    away the handover's own word counts.
    """
    if not _wanted(policy, alert):
        return Decision(Outcome.NOT_OPEN, Change(alert))
    whom = _whom(timer.targets, known.covers)
    present = timer.people if whom.stale else [one for one in timer.people if one in whom.people]
    told = known.told_since.get(alert.alert_id, frozenset())
    recipients = tuple(person for person in present if person not in told)
    if not recipients or timer.level != alert.escalation_level:
        return Decision(Outcome.NOT_NEEDED, Change(alert))
    execution = Execution(
        execution_id=execution_id,
        alert_id=alert.alert_id,
        policy_id=policy.policy_id,
        level=timer.level,
        reason=Reason.SHIFT_HANDOVER,
        targets=timer.targets,
        recipients=recipients,
        at=now,
        stale=whom.stale,
    )
    after = alert._replace(version=alert.version + 1)
    change = Change(after, (Happened(EventType.ESCALATED, after, now, execution=execution),))
    return Decision(Outcome.TOLD_STALE if whom.stale else Outcome.TOLD, change, execution)


def _wanted(policy: EscalationPolicy, alert: Alert) -> bool:
    states = {
        Handover.OFF: (),
        Handover.OPEN_ONLY: (State.OPEN,),
        Handover.OPEN_AND_ACKED: (State.OPEN, State.ACKED),
    }
    return alert.state in states[policy.handover] and alert.snoozed_until is None


def _whom(targets: tuple[str, ...], covers: Mapping[str, Cover]) -> _Whom:
    found = [covers[target] for target in targets if target in covers]
    people = tuple(dict.fromkeys(person for cover in found for person in cover.responders))
    return _Whom(people, len(found) < len(targets) or any(cover.stale for cover in found))


@dataclass(frozen=True, slots=True)
class _Step:
    """The decision of the next step of an open alert."""

    policy: EscalationPolicy
    alert: Alert
    timer: Timer
    known: Known
    now: datetime
    execution_id: UUID

    def decide(self) -> Decision:
        """The first level that means somebody, or must not be passed over; else what the end of the steps brings."""
        way = course(self.policy, self.alert.severity, self.timer, self.now)
        for place in way.places:
            whom = _whom(place.step.targets, self.known.covers)
            if whom.unsure:
                return Decision(Outcome.ROSTER_AWAY, Change(self.alert))
            if whom.people or not place.step.skip_if_empty:
                return self._told(way, place, whom)
        return self._after_the_last(way) if way.told else self._caught(way)

    def _told(self, way: Course, place: Place, whom: _Whom) -> Decision:
        """The next level follows when the time to acknowledge is over, or at once when there was nobody to tell.

        Only a further time through the steps is waited for in either case: somebody may be on call by then.
        """
        recipients, turn = whom.people, None
        if place.step.selection is Selection.ROUND_ROBIN and recipients:
            key = (self.policy.policy_id, place.level)
            chosen, turn = next_in_turn(recipients, self.known.turns.get(key, Turn(*key)))
            recipients = (chosen,)
        told = way.told or bool(recipients)
        again = place.level >= len(self.policy.steps) and not way.over
        wait = bool(recipients or (again and told)) and not self.timer.hurry
        following = Timer(
            self.alert.alert_id,
            Kind.ESCALATE,
            self.now + place.step.ack_timeout if wait else self.now,
            level=place.level + 1,
            round=way.round,
            reason=Reason.REPEAT_TRIGGER if self.timer.hurry else Reason.ACK_TIMEOUT,
            told=told,
        )
        return self._step(place, replace(whom, people=recipients), following, turn)

    def _caught(self, way: Course) -> Decision:
        """Nobody was told in all of the steps: the catch-all is, or the next time through them is waited for."""
        whom = _whom((self.policy.catch_all,), self.known.covers)
        if whom.unsure:
            return Decision(Outcome.ROSTER_AWAY, Change(self.alert))
        last = Place(len(self.policy.steps), self.policy.steps[-1])
        following = Timer(
            self.alert.alert_id,
            Kind.ESCALATE,
            self.now + last.step.ack_timeout,
            level=last.level + 1,
            round=way.round,
            reason=Reason.ACK_TIMEOUT,
            told=True,
        )
        if whom.people:
            caught = Place(last.level, replace(last.step, targets=(self.policy.catch_all,)))
            return self._step(caught, whom, following, None, catch_all=True)
        if way.over:
            return self._exhausted(Outcome.UNTOLD)
        return Decision(Outcome.WAITING, Change(self.alert, timer=following))

    def _after_the_last(self, way: Course) -> Decision:
        if way.over:
            return self._exhausted(Outcome.EXHAUSTED)
        level = len(self.policy.steps) + 1
        again = self.timer._replace(due_at=self.now, level=level, round=way.round, targets=(), told=True)
        return Decision(Outcome.SKIPPED, Change(self.alert, timer=again))

    def _step(
        self, place: Place, whom: _Whom, following: Timer, turn: Turn | None, *, catch_all: bool = False
    ) -> Decision:
        execution = Execution(
            execution_id=self.execution_id,
            alert_id=self.alert.alert_id,
            policy_id=self.policy.policy_id,
            level=place.level,
            reason=self.timer.reason,
            targets=place.step.targets,
            recipients=whom.people,
            at=self.now,
            stale=whom.stale,
            catch_all=catch_all,
        )
        after = self.alert._replace(
            escalation_level=place.level, version=self.alert.version + 1, exhausted_at=None
        )
        event = Happened(EventType.ESCALATED, after, self.now, execution=execution)
        outcome = Outcome.CATCH_ALL if catch_all else _outcome(whom)
        return Decision(outcome, Change(after, (event,), timer=following), execution, turn)

    def _exhausted(self, outcome: Outcome) -> Decision:
        after = self.alert._replace(version=self.alert.version + 1, exhausted_at=self.now)
        return Decision(outcome, Change(after, (Happened(EventType.EXHAUSTED, after, self.now),)))


def _outcome(whom: _Whom) -> Outcome:
    if not whom.people:
        return Outcome.NOBODY
    return Outcome.TOLD_STALE if whom.stale else Outcome.TOLD


def escalated_by_hand(policy: EscalationPolicy, alert: Alert, by: By, level: int, now: datetime) -> Change:
    """Somebody asks for a level, or with 0 for the next one; after the last level comes the first.

    Raises Invalid for a level that the policy does not have, Refused for a closed or suppressed alert.
    """
    most = len(policy.steps)
    if not 0 <= level <= most:
        raise Invalid.field("level", f"is {level}; want 0 to {most}: policy {policy.policy_id} has {most}")
    return escalated(alert, by, level or alert.escalation_level % most + 1, now)
