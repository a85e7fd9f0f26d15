"""Which levels come next: the course of an escalation through its policy, as the policy is now."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.escalation.domain.alert import Alert
from services.escalation.domain.policy import EscalationPolicy, Selection, Step
from services.escalation.domain.timer import Kind, Reason, Timer


@dataclass(frozen=True, slots=True)
class Place:
    """A level of a policy, in the how manieth time through its steps."""

    level: int
    step: Step


@dataclass(frozen=True, slots=True)
class Course:
    """The levels to try, in order; only the last of them may be one that is not passed over when it means nobody.

    `round` is the time through the steps, `told` whether it has told anybody yet. `over`: there is no further one.
    """

    places: tuple[Place, ...]
    round: int
    told: bool
    over: bool

    @property
    def ends(self) -> bool:
        """Whether this time through the steps is over when all of its levels mean nobody."""
        return not self.places or self.places[-1].step.skip_if_empty


def course(policy: EscalationPolicy, severity: str, timer: Timer, now: datetime) -> Course:
    """What is to be tried when the timer is due at `now`."""
    steps, further = policy.steps, timer.round < policy.repeat_count
    if timer.targets:
        own = steps[min(timer.level, len(steps)) - 1]
        stand_in = Step(timer.targets, own.ack_timeout)
        return Course((Place(timer.level, stand_in),), timer.round, timer.told, over=not further)
    if timer.level <= len(steps):
        asked_for = timer.reason is Reason.MANUAL
        places = _places(policy, severity, timer.level, now, whatever=asked_for)
        return Course(places, timer.round, timer.told, over=not further)
    if timer.told and further:
        again = timer.round + 1
        return Course(_places(policy, severity, 1, now), again, told=False, over=again >= policy.repeat_count)
    return Course((), timer.round, timer.told, over=not further)


def _places(
    policy: EscalationPolicy, severity: str, level: int, now: datetime, *, whatever: bool = False
) -> tuple[Place, ...]:
    """The levels from this one on that are for the alert; the first of them `whatever` its condition says."""
    found: list[Place] = []
    for number, step in enumerate(policy.steps[level - 1 :], level):
        if step.is_for(severity, now) or (whatever and number == level):
            found.append(Place(number, step))
            if not step.skip_if_empty:
                break
    return tuple(found)


def targets(policy: EscalationPolicy, severity: str, timer: Timer, now: datetime) -> Collection[str]:
    """Whom roster must be asked for before the timer can be decided at `now`."""
    match timer.kind:
        case Kind.WAKE | Kind.REOPEN | Kind.STEADY | Kind.CLOSE:
            return ()
        case Kind.HANDOVER:
            return timer.targets
        case Kind.ESCALATE:
            way = course(policy, severity, timer, now)
            asked = [target for place in way.places for target in place.step.targets]
            return [*asked, policy.catch_all] if way.ends and not way.told else asked


def turns(
    policy: EscalationPolicy, severity: str, timer: Timer, now: datetime
) -> Collection[tuple[str, int]]:
    """The levels, by policy, whose turns must be known before the timer can be decided at `now`."""
    if timer.kind is not Kind.ESCALATE:
        return ()
    return [
        (policy.policy_id, place.level)
        for place in course(policy, severity, timer, now).places
        if place.step.selection is Selection.ROUND_ROBIN
    ]


def resumed(alert: Alert, now: datetime) -> Timer:
    """The next level at once, for an open alert that waits for nothing and should."""
    level, reason = alert.escalation_level, Reason.ACK_TIMEOUT
    return Timer(
        alert.alert_id,
        Kind.ESCALATE,
        now,
        level=level + 1,
        reason=reason if level else Reason.INITIAL,
        told=level > 0,
    )


def unheard(
    policy: EscalationPolicy, timer: Timer, now: datetime, *, heard: bool, catch_all: bool
) -> Timer | None:
    """The timer after a step that reached nobody; None where it stays as it is.

    `heard` says whether an earlier step has reached anybody, `catch_all` whether this one was the catch-all. The next
    level follows at once, and after the last one, where nobody was reached at all, the catch-all. A further time
    through the steps is waited for all the same.
    """
    told = heard or catch_all
    again = timer.level > len(policy.steps) and timer.round < policy.repeat_count
    if timer.due_at <= now or (again and told):
        return None
    return timer._replace(due_at=now, told=told)


def hastened(policy: EscalationPolicy, alert_id: UUID, timer: Timer | None, now: datetime) -> Timer:
    """The timer after so many triggers that the next level must not wait; `timer` is the one that is armed.

    A step that is due already is left alone, and the one after it follows at once. Where no level is left, the steps
    begin again with the first one, for the last time.
    """
    begun_again = Timer(alert_id, Kind.ESCALATE, now, round=policy.repeat_count, reason=Reason.REPEAT_TRIGGER)
    if timer is None:
        return begun_again
    if timer.level > len(policy.steps) and timer.round >= policy.repeat_count and not timer.targets:
        return begun_again
    if timer.due_at <= now:
        return timer._replace(hurry=True)
    return timer._replace(due_at=now, reason=Reason.REPEAT_TRIGGER)
