"""What an escalation will do when nobody acknowledges: the engine's own decisions, one after the other, in thought."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never
from uuid import UUID

from services.escalation.domain.alert import SILENCES, Alert, Change, Execution, Quiet, State
from services.escalation.domain.course import targets
from services.escalation.domain.escalation import Cover, Decision, Known, by_itself, decide, hushed
from services.escalation.domain.news import Arrival
from services.escalation.domain.policy import ACTIVE, EscalationPolicy, Handover
from services.escalation.domain.quieting import quieted, released
from services.escalation.domain.silence import SilenceRule, in_force, next_change
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.domain.turns import Turn

NOT_YET = UUID(int=0)
"""The id of a step that nobody has taken."""
ON_CALL, NEXT = "oncall://", "/next"


class Planned(NamedTuple):
    """A step that would be taken, and in which time through the steps, counted from 0."""

    execution: Execution
    round: int


class QuietTime(NamedTuple):
    """An unbroken stretch in which the same keeps the alert quiet; `ends_at` is None where nobody can tell."""

    quiet: Quiet
    starts_at: datetime
    ends_at: datetime | None


class Duty(NamedTuple):
    """An unbroken stretch of one person on call on a schedule."""

    responder_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """An alert as it will be at some instant: its timers, the turns of its policy, and the steps taken by then.

    `silences` are those that match it, by id; `last` are the targets of its last step that was no handover.
    """

    alert: Alert
    timers: Mapping[Kind, Timer]
    turns: Mapping[tuple[str, int], Turn]
    silences: Sequence[SilenceRule] = ()
    last: tuple[str, ...] = ()
    steps: Sequence[Planned] = ()
    quiet_times: Sequence[QuietTime] = ()

    @property
    def timer(self) -> Timer | None:
        """The timer that is due first."""
        return min(self.timers.values(), key=lambda timer: timer.due_at, default=None)

    def following(self, at: datetime) -> tuple[datetime, Timer | None] | None:
        """What comes next, at `at` or after it: a timer, or None for a silence that begins or ends, at which instant.

        None when the escalation is over, or when nobody can tell what comes. Of both at one instant the silence is first.
        """
        timer, turn = self.timer, self._turns_at(at)
        if timer is not None and (turn is None or max(timer.due_at, at) < turn):
            return max(timer.due_at, at), timer
        return None if turn is None else (turn, None)

    def _turns_at(self, at: datetime) -> datetime | None:
        """When a silence next begins or ends that matters."""
        alert = self.alert
        exposed = alert.state is State.OPEN and alert.snoozed_until is None and self.timers
        silent = alert.state is State.SUPPRESSED and alert.suppressed_by.startswith(SILENCES)
        return next_change(self.silences, at) if exposed or silent else None

    def handover(self, arrival: Arrival) -> Timer | None:
        """What the handover arms; None where the last level did not go to its schedule."""
        target = f"{ON_CALL}{arrival.schedule_id}"
        if not {target, ACTIVE}.intersection(self.last):
            return None
        level = self.alert.escalation_level
        return Timer(
            self.alert.alert_id,
            Kind.HANDOVER,
            arrival.at,
            level,
            reason=Reason.SHIFT_HANDOVER,
            targets=(target,),
            people=arrival.incoming,
        )


def asked(policy: EscalationPolicy, outlook: Outlook, timer: Timer, at: datetime) -> Collection[str]:
    """Whom roster must be asked for before the timer can be foreseen."""
    return targets(policy, outlook.alert.severity, timer, at)


def foreseen(
    policy: EscalationPolicy, outlook: Outlook, timer: Timer, covers: Mapping[str, Cover], at: datetime
) -> Outlook:
    """The outlook after the timer was decided at that instant."""
    since = [step for step, _ in outlook.steps if step.at >= timer.due_at]
    told = frozenset(person for step in since for person in step.recipients)
    known = Known(covers, outlook.turns, {outlook.alert.alert_id: told})
    silence = in_force(outlook.silences, at) if by_itself(timer, outlook.alert) else None
    if silence is not None:
        decision = hushed(outlook.alert, silence.quiet, at)
    else:
        decision = decide(policy, outlook.alert, timer, known, at, execution_id=NOT_YET)
    turn, step = decision.turn, decision.execution
    return replace(
        _changed(outlook, decision.change, timer, at),
        turns=outlook.turns if turn is None else {**outlook.turns, turn[:2]: turn},
        last=outlook.last if step is None or timer.kind is Kind.HANDOVER else step.targets,
        steps=outlook.steps
        if step is None
        else [*outlook.steps, Planned(step, _round(outlook, timer, decision))],
    )


def reviewed(outlook: Outlook, at: datetime) -> Outlook:
    """The outlook after a silence has begun or ended at that instant.

    An open alert is paused by one that begins. One that was silenced opens, unless another silence goes on; whether
    anything else would keep it quiet by then, nobody can tell.
    """
    alert, silence = outlook.alert, in_force(outlook.silences, at)
    change = Change(alert)
    match alert.state:
        case State.OPEN if silence is not None and any(rule.begins(at) for rule in outlook.silences):
            change = quieted(alert, silence.quiet, at)
        case State.SUPPRESSED if _unsilenced(outlook, at):
            change = released(alert, at) if silence is None else quieted(alert, silence.quiet, at)
        case State.OPEN | State.SUPPRESSED | State.ACKED | State.CLOSED:
            pass
        case never:
            assert_never(never)
    return _changed(outlook, change, None, at)


def _unsilenced(outlook: Outlook, at: datetime) -> bool:
    """Whether the silence that has kept the alert quiet does so no more."""
    by = outlook.alert.suppressed_by
    going_on = (rule for rule in outlook.silences if rule.quiet.by == by and rule.in_force(at))
    return by.startswith(SILENCES) and not any(going_on)


def _changed(outlook: Outlook, change: Change, used: Timer | None, at: datetime) -> Outlook:
    """The outlook with the alert, its timers and what keeps it quiet as they are after the change."""
    alert = change.alert
    return replace(
        outlook,
        alert=alert,
        timers=_timers(outlook, used, change),
        quiet_times=_quiet_times(outlook, alert, at),
    )


def _quiet_times(outlook: Outlook, alert: Alert, at: datetime) -> Sequence[QuietTime]:
    *before, last = outlook.quiet_times or (None,)
    quiet = Quiet(alert.suppressed_by, alert.parent_alert_id) if alert.state is State.SUPPRESSED else None
    if last is not None and last.ends_at is None:
        if last.quiet == quiet:
            return outlook.quiet_times
        last = last._replace(ends_at=at)
    known = [*before, *([last] if last else [])]
    return [*known, QuietTime(quiet, at, None)] if quiet is not None else known


def _timers(outlook: Outlook, used: Timer | None, change: Change) -> Mapping[Kind, Timer]:
    gone = used.kind if used is not None else None
    left = {} if change.hush else {kind: one for kind, one in outlook.timers.items() if kind is not gone}
    return left if change.timer is None else {**left, change.timer.kind: change.timer}


def _round(outlook: Outlook, timer: Timer, decision: Decision) -> int:
    following = decision.change.timer or outlook.timers.get(Kind.ESCALATE) or timer
    return following.round


def watched(policy: EscalationPolicy, outlook: Outlook) -> Collection[str] | None:
    """The schedules whose handovers concern the alert as it is in the outlook; None for all of them."""
    if policy.handover is Handover.OFF:
        return ()
    if ACTIVE in outlook.last:
        return None
    on_call = [target for target in outlook.last if target.startswith(ON_CALL) and not target.endswith(NEXT)]
    return [target.removeprefix(ON_CALL) for target in on_call]


def longest(policy: EscalationPolicy) -> timedelta:
    """How long an escalation by this policy takes at most, from its first step until it is exhausted."""
    waits = [step.ack_timeout for step in policy.steps]
    return (policy.repeat_count + 1) * sum([*waits, waits[-1]], timedelta())


def arrivals(schedule_id: str, duties: Collection[Duty], start: datetime) -> list[Arrival]:
    """The handovers after `start` by which somebody comes, from all stretches since then."""
    found = []
    for at in sorted({duty.starts_at for duty in duties if duty.starts_at > start}):
        before = {duty.responder_id for duty in duties if duty.starts_at < at <= duty.ends_at}
        after = {duty.responder_id for duty in duties if duty.starts_at <= at < duty.ends_at}
        if incoming := sorted(after - before):
            found.append(Arrival(schedule_id, at, tuple(incoming)))
    return found
