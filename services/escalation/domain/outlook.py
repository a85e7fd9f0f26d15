"""What an escalation will do when nobody acknowledges: the engine's own decisions, one after the other, in thought."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from services.escalation.domain.alert import Alert, Execution
from services.escalation.domain.course import targets
from services.escalation.domain.escalation import Cover, Decision, Known, decide
from services.escalation.domain.news import Arrival
from services.escalation.domain.policy import ACTIVE, EscalationPolicy, Handover
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.domain.turns import Turn

NOT_YET = UUID(int=0)
"""The id of a step that nobody has taken."""
ON_CALL, NEXT = "oncall://", "/next"


class Planned(NamedTuple):
    """A step that would be taken, and in which time through the steps, counted from 0."""

    execution: Execution
    round: int


class Duty(NamedTuple):
    """An unbroken stretch of one person on call on a schedule."""

    responder_id: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Outlook:
    """An alert as it will be at some instant: its timers, the turns of its policy, and the steps taken by then.

    `last` are the targets of its last step that was no handover.
    """

    alert: Alert
    timers: Mapping[Kind, Timer]
    turns: Mapping[tuple[str, int], Turn]
    last: tuple[str, ...] = ()
    steps: Sequence[Planned] = ()

    @property
    def timer(self) -> Timer | None:
        """The timer that is due first."""
        return min(self.timers.values(), key=lambda timer: timer.due_at, default=None)

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
    decision = decide(policy, outlook.alert, timer, known, at, execution_id=NOT_YET)
    turn, step = decision.turn, decision.execution
    return Outlook(
        decision.change.alert,
        _timers(outlook, timer, decision),
        outlook.turns if turn is None else {**outlook.turns, turn[:2]: turn},
        outlook.last if step is None or timer.kind is Kind.HANDOVER else step.targets,
        outlook.steps if step is None else [*outlook.steps, Planned(step, _round(outlook, timer, decision))],
    )


def _timers(outlook: Outlook, used: Timer, decision: Decision) -> Mapping[Kind, Timer]:
    change = decision.change
    left = {} if change.hush else {kind: one for kind, one in outlook.timers.items() if kind is not used.kind}
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
