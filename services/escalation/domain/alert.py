"""An alert's life: what each verb does to it in each state, as pure functions.

What is made for every trigger is a NamedTuple: a frozen dataclass of twenty fields takes ten times as long to make.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, assert_never
from uuid import UUID

from chassis.errors import Refused
from services.escalation.domain.facts import Facts
from services.escalation.domain.timer import Kind, Reason, Timer

SILENCES = "silence-rules/"
"""How a silence is named that keeps an alert quiet, before its id."""


class Severity(StrEnum):
    """How bad it is, worst first."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"


class State(StrEnum):
    """Where an alert is in its life."""

    OPEN = "OPEN"
    ACKED = "ACKED"
    CLOSED = "CLOSED"
    SUPPRESSED = "SUPPRESSED"


class ActionType(StrEnum):
    """What somebody did to an alert."""

    ACK = "ACK"
    CLOSE = "CLOSE"
    ESCALATE = "ESCALATE"
    SNOOZE = "SNOOZE"
    REASSIGN = "REASSIGN"
    COMMENT = "COMMENT"
    REOPEN = "REOPEN"


class EventType(StrEnum):
    """What can happen to an alert, as its events name it."""

    OPENED = "alert.opened"
    REPEATED = "alert.repeated"
    SUPPRESSED = "alert.suppressed"
    NOISE_SUPPRESSED = "alert.noise_suppressed"
    ACKNOWLEDGED = "alert.acknowledged"
    REOPENED = "alert.reopened"
    SNOOZED = "alert.snoozed"
    REASSIGNED = "alert.reassigned"
    ESCALATED = "alert.escalated"
    EXHAUSTED = "alert.escalation_exhausted"
    CLOSED = "alert.closed"


class Report(NamedTuple):
    """What somebody reports: the contents of an alert before it is one. An empty `dedup_key` makes it unique."""

    title: str
    description: str
    severity: Severity
    source: str
    dedup_key: str
    labels: Mapping[str, str]

    def facts(self) -> Facts:
        """What rules see of it."""
        return Facts(self.severity, self.source, self.title, self.labels)


class Alert(NamedTuple):
    """An alert as its row has it; times in UTC, `version` grows by one with each event."""

    alert_id: UUID
    dedup_key: str
    title: str
    description: str
    severity: Severity
    source: str
    labels: Mapping[str, str]
    state: State
    policy_id: str
    opened_at: datetime
    acked_at: datetime | None
    acked_by: str
    closed_at: datetime | None
    closed_by: str
    snoozed_until: datetime | None
    trigger_count: int
    last_triggered_at: datetime
    escalation_level: int
    suppressed_by: str
    parent_alert_id: UUID | None
    version: int
    integration_id: str = ""
    flapping: bool = False
    exhausted_at: datetime | None = None

    def facts(self) -> Facts:
        """What rules see of it."""
        return Facts(self.severity, self.source, self.title, self.labels)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that somebody did to an alert; never changed afterwards."""

    alert_id: UUID
    action_id: UUID
    type: ActionType
    actor: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Execution:
    """One step of an escalation: who was told, and why.

    `stale`: by the last known coverage, roster was away. `catch_all`: the levels have told nobody.
    """

    execution_id: UUID
    alert_id: UUID
    policy_id: str
    level: int
    reason: Reason
    targets: tuple[str, ...]
    recipients: tuple[str, ...]
    at: datetime
    stale: bool
    catch_all: bool = False


class Happened(NamedTuple):
    """An event to be: the alert as it is after it, and what its kind of event tells besides."""

    type: EventType
    alert: Alert
    at: datetime
    actor: str = ""
    note: str = ""
    triggers: int = 0
    target: str = ""
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class By:
    """Who does something, and what that person has to say."""

    actor: str
    note: str = ""


class Change(NamedTuple):
    """What a verb does to an alert: nothing, when nothing happened.

    `hush` ends everything that waits for the alert, its timers and the pages not sent yet; then `timer` is armed.
    `action` is what the timeline tells of, done `by` somebody or, without an actor, by a timer.
    """

    alert: Alert
    events: tuple[Happened, ...] = ()
    action: ActionType | None = None
    by: By = By("")
    hush: bool = False
    timer: Timer | None = None


class Quiet(NamedTuple):
    """What keeps an alert quiet, as `suppressed_by` names it, and the alert that stands for it, if one does."""

    by: str
    parent_alert_id: UUID | None = None


def opened(
    report: Report,
    *,
    alert_id: UUID,
    policy_id: str,
    quiet: Quiet | None,
    now: datetime,
    integration_id: str = "",
    flapping: bool = False,
) -> Change:
    """A new alert: it escalates at once, unless something keeps it quiet."""
    alert = Alert(
        alert_id=alert_id,
        dedup_key=report.dedup_key,
        title=report.title,
        description=report.description,
        severity=report.severity,
        source=report.source,
        labels=report.labels,
        state=State.OPEN if quiet is None else State.SUPPRESSED,
        policy_id=policy_id,
        opened_at=now,
        acked_at=None,
        acked_by="",
        closed_at=None,
        closed_by="",
        snoozed_until=None,
        trigger_count=1,
        last_triggered_at=now,
        escalation_level=0,
        suppressed_by="" if quiet is None else quiet.by,
        parent_alert_id=None if quiet is None else quiet.parent_alert_id,
        version=1,
        integration_id=integration_id,
        flapping=flapping,
    )
    if quiet is None:
        return Change(alert, (Happened(EventType.OPENED, alert, now),), timer=first_step(alert_id, now))
    return Change(alert, (Happened(kind_of(quiet), alert, now),))


def kind_of(quiet: Quiet) -> EventType:
    """Silences are people's wish; all else is found to be noise."""
    return EventType.SUPPRESSED if quiet.by.startswith(SILENCES) else EventType.NOISE_SUPPRESSED


def repeated(alert: Alert, *, triggers: int, now: datetime) -> Change:
    """The alert is triggered again, so many times; one that is kept quiet stays so until what does it ends.

    Raises Refused for a closed alert: a new one opens in its place.
    """
    if alert.state is State.CLOSED:
        raise refusal(alert, "triggered again")
    again = alert._replace(
        trigger_count=alert.trigger_count + triggers,
        last_triggered_at=now,
        version=alert.version + 1,
    )
    return Change(again, (Happened(EventType.REPEATED, again, now, triggers=triggers),))


def acknowledged(alert: Alert, by: By, now: datetime, *, reopen_after: timedelta | None = None) -> Change:
    """Somebody takes the alert: it escalates no further, unless it is forgotten for `reopen_after`.

    The first keeps the credit. Raises Refused for a closed alert.
    """
    match alert.state:
        case State.OPEN | State.SUPPRESSED:
            taken = alert._replace(
                state=State.ACKED,
                acked_at=now,
                acked_by=by.actor,
                snoozed_until=None,
                suppressed_by="",
                parent_alert_id=None,
                version=alert.version + 1,
                exhausted_at=None,
            )
            event = Happened(EventType.ACKNOWLEDGED, taken, now, actor=by.actor, note=by.note)
            timer = Timer(alert.alert_id, Kind.REOPEN, now + reopen_after) if reopen_after else None
            return Change(taken, (event,), ActionType.ACK, by, hush=True, timer=timer)
        case State.ACKED:
            return Change(alert)
        case State.CLOSED:
            raise refusal(alert, "acknowledged")
        case never:
            assert_never(never)


def closed(alert: Alert, by: By, now: datetime) -> Change:
    """The alert is over. The first keeps the credit."""
    match alert.state:
        case State.OPEN | State.ACKED | State.SUPPRESSED:
            over = alert._replace(
                state=State.CLOSED,
                closed_at=now,
                closed_by=by.actor,
                snoozed_until=None,
                version=alert.version + 1,
                exhausted_at=None,
            )
            event = Happened(EventType.CLOSED, over, now, actor=by.actor, note=by.note)
            return Change(over, (event,), ActionType.CLOSE, by, hush=True)
        case State.CLOSED:
            return Change(alert)
        case never:
            assert_never(never)


def commented(alert: Alert, by: By) -> Change:
    """A note for the timeline, in any state; nothing else changes."""
    return Change(alert, action=ActionType.COMMENT, by=by)


def escalated(alert: Alert, by: By, level: int, now: datetime) -> Change:
    """Somebody asks for a level at once; an alert that somebody has taken, or that sleeps, is open again.

    The times through the steps are counted anew. Raises Refused for a closed or suppressed alert.
    """
    timer = Timer(alert.alert_id, Kind.ESCALATE, now, level=level, reason=Reason.MANUAL)
    match alert.state:
        case State.OPEN if alert.snoozed_until is None:
            return Change(alert, (), ActionType.ESCALATE, by, timer=timer)
        case State.OPEN | State.ACKED:
            again = open_again(alert)
            event = Happened(EventType.REOPENED, again, now, actor=by.actor, note=by.note)
            return Change(again, (event,), ActionType.ESCALATE, by, hush=True, timer=timer)
        case State.CLOSED | State.SUPPRESSED:
            raise refusal(alert, "escalated")
        case never:
            assert_never(never)


def reassigned(alert: Alert, by: By, target: str, now: datetime) -> Change:
    """Somebody gives the alert to a target, which is told at once; an alert that somebody has taken is open again.

    When nobody acknowledges in the time that the alert's present level gives, the level after it follows. Raises
    Refused for a closed or suppressed alert.
    """
    match alert.state:
        case State.OPEN | State.ACKED:
            given = open_again(alert)
            event = Happened(EventType.REASSIGNED, given, now, actor=by.actor, note=by.note, target=target)
            level = max(1, alert.escalation_level)
            timer = Timer(
                alert.alert_id, Kind.ESCALATE, now, level=level, reason=Reason.MANUAL, targets=(target,)
            )
            return Change(given, (event,), ActionType.REASSIGN, by, hush=True, timer=timer)
        case State.CLOSED | State.SUPPRESSED:
            raise refusal(alert, "reassigned")
        case never:
            assert_never(never)


def snoozed(alert: Alert, by: By, until: datetime, now: datetime) -> Change:
    """The alert sleeps: nobody is told until it wakes up. Raises Refused for a closed or suppressed alert."""
    match alert.state:
        case State.OPEN | State.ACKED:
            asleep = alert._replace(snoozed_until=until, version=alert.version + 1, exhausted_at=None)
            event = Happened(EventType.SNOOZED, asleep, now, actor=by.actor, note=by.note)
            timer = Timer(alert.alert_id, Kind.WAKE, until)
            return Change(asleep, (event,), ActionType.SNOOZE, by, hush=True, timer=timer)
        case State.CLOSED | State.SUPPRESSED:
            raise refusal(alert, "snoozed")
        case never:
            assert_never(never)


def first_step(alert_id: UUID, now: datetime) -> Timer:
    """Level 1, at once."""
    return Timer(alert_id, Kind.ESCALATE, now)


def open_again(alert: Alert) -> Alert:
    """Open, taken by nobody and awake."""
    return alert._replace(
        state=State.OPEN,
        acked_at=None,
        acked_by="",
        snoozed_until=None,
        version=alert.version + 1,
        exhausted_at=None,
    )


def refusal(alert: Alert, what: str) -> Refused:
    """What is said of a verb that makes no sense in the alert's state."""
    return Refused(
        f"alert {alert.alert_id} is {alert.state}: it cannot be {what}", reason=f"ALERT_{alert.state}"
    )
