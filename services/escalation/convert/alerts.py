"""Alerts and what happens to them: protobuf to the domain's values, checked, and back."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TypeAlias
from uuid import UUID

from google.protobuf.message import Message

from chassis import telemetry, validation, wire
from chassis.errors import Invalid, Problems
from chassis.outbox import Event
from services.escalation.domain.alert import (
    Action,
    ActionType,
    Alert,
    EventType,
    Execution,
    Happened,
    Report,
    Severity,
    State,
)
from services.escalation.domain.policy import check_target
from services.escalation.domain.timer import Reason
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2, events_pb2, integration_service_pb2
from tocsin.notify.v1 import page_service_pb2

DESCRIPTION_BYTES = 64 * 1024
NOTE_CHARACTERS = 4_096

ACTOR_CHARACTERS = 255
SHORTEST_SNOOZE, LONGEST_SNOOZE = timedelta(seconds=1), timedelta(days=30)

_ALERT_FIELD = b"\x0a"
"""Field 1, length-delimited."""

_stamp = lru_cache(maxsize=1024)(wire.stamp)
"""Alerts that are written together share their instants."""

Order: TypeAlias = (
    alert_service_pb2.AcknowledgeAlertRequest
    | alert_service_pb2.CloseAlertRequest
    | alert_service_pb2.EscalateAlertRequest
    | alert_service_pb2.SnoozeAlertRequest
    | alert_service_pb2.ReassignAlertRequest
    | alert_service_pb2.ReopenAlertRequest
    | alert_service_pb2.CommentAlertRequest
)
"""The requests of the verbs."""

_SELDOM = ("acked_by", "closed_by", "escalation_level", "suppressed_by", "integration_id", "flapping")
_SELDOM_AT = ("acked_at", "closed_at", "snoozed_until", "exhausted_at")
"""The fields of an alert that a new one does not have."""

SEVERITIES = {severity: alert_pb2.Severity.Value.Value(severity) for severity in Severity}
_SEVERITY_OF = {number: severity for severity, number in SEVERITIES.items()}
_STATES = {state: alert_pb2.Alert.State.Value(state) for state in State}
_STATE_OF = {number: state for state, number in _STATES.items()}
REASONS = {reason: alert_pb2.EscalationExecution.Reason.Value(reason) for reason in Reason}
_ACTIONS = {kind: alert_pb2.AlertAction.Type.Value(kind) for kind in ActionType}


def report(request: alert_service_pb2.TriggerAlertRequest) -> Report:
    """What a trigger reports, of MEDIUM severity unless it says otherwise.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    severity = _SEVERITY_OF.get(request.severity)
    if severity is None:
        if request.severity:
            problems.add("severity", f"{request.severity} is not known; want one of {', '.join(Severity)}")
        severity = Severity.MEDIUM
    made = Report(
        title=request.title,
        description=request.description,
        severity=severity,
        source=request.source,
        dedup_key=request.dedup_key,
        labels=dict(request.labels),
    )
    _check(problems, made)
    validation.text(problems, "request_id", request.request_id, most=128)
    if request.policy_id:
        validation.name(problems, "policy_id", request.policy_id)
    problems.check()
    return made


def _check(problems: Problems, made: Report) -> None:
    validation.text(problems, "title", made.title, most=1024, required=True)
    validation.text(problems, "description", made.description, most=DESCRIPTION_BYTES)
    if len(made.description) * 4 > DESCRIPTION_BYTES >= len(made.description):
        size = len(made.description.encode())
        if size > DESCRIPTION_BYTES:
            problems.add("description", f"has {size} bytes; want at most {DESCRIPTION_BYTES}")
    validation.text(problems, "source", made.source, most=1024)
    validation.text(problems, "dedup_key", made.dedup_key, most=255)
    if not _good(made.labels):
        validation.labels(problems, "labels", made.labels)


def _good(labels: Mapping[str, str]) -> bool:
    """Whether the labels are surely within their limits: nearly all are, and saying what is wrong costs more."""
    return len(labels) <= 8 and all(
        len(name) <= 64 and name.isidentifier() and len(value) <= 1024 and "\0" not in value
        for name, value in labels.items()
    )


def order(request: Order) -> tuple[UUID, str, str]:
    """The alert that a verb is for, the actor that it names or '', and the note.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    alert_id = _uuid(problems, "alert_id", request.alert_id)
    validation.text(problems, "actor", request.actor, most=ACTOR_CHARACTERS)
    validation.text(problems, "note", request.note, most=NOTE_CHARACTERS, required=_is_comment(request))
    match request:
        case alert_service_pb2.SnoozeAlertRequest():
            _check_snooze(problems, request)
        case alert_service_pb2.ReassignAlertRequest():
            check_target(problems, "target", request.target)
    problems.check()
    return alert_id, request.actor, request.note


def _is_comment(request: Order) -> bool:
    return isinstance(request, alert_service_pb2.CommentAlertRequest)


def _check_snooze(problems: Problems, request: alert_service_pb2.SnoozeAlertRequest) -> None:
    if request.HasField("duration") == request.HasField("until"):
        problems.add("duration", "want either duration or until, and not both")
    validation.span(
        problems, "duration", wire.length(request, "duration"), least=SHORTEST_SNOOZE, most=LONGEST_SNOOZE
    )


def snoozed_until(request: alert_service_pb2.SnoozeAlertRequest, now: datetime) -> datetime:
    """Until when a snooze asks to sleep. Raises Invalid when that is in the past or too far away."""
    until = wire.instant(request, "until")
    if until is None:
        return now + (wire.length(request, "duration") or timedelta())
    if not now < until <= now + LONGEST_SNOOZE:
        raise Invalid.field("until", f"is not within the coming {LONGEST_SNOOZE.days} days")
    return until


def check_signal(signal: integration_service_pb2.Signal) -> None:
    """Whether a signal can acknowledge, resolve or comment. Raises Invalid naming every wrong field."""
    problems = Problems()
    validation.text(problems, "alert.dedup_key", signal.alert.dedup_key, most=255, required=True)
    comments = signal.action == integration_service_pb2.Signal.COMMENT
    validation.text(problems, "note", signal.note, most=NOTE_CHARACTERS, required=comments)
    problems.check()


def _uuid(problems: Problems, path: str, value: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        problems.add(path, f"{value[:64]!r} is not a UUID")
        return UUID(int=0)


def alert_ids(values: Sequence[str]) -> list[UUID]:
    """The alerts that a run is for, none for all. Raises Invalid naming every wrong field."""
    problems = Problems()
    validation.count(problems, "alert_ids", values, most=1000)
    found = [_uuid(problems, f"alert_ids[{place}]", value) for place, value in enumerate(values)]
    problems.check()
    return found


def states(numbers: Sequence[alert_pb2.Alert.State.ValueType], problems: Problems) -> list[State]:
    """The states of a filter; notes each that is none."""
    for place, number in enumerate(numbers):
        if number not in _STATE_OF:
            problems.add(f"state[{place}]", f"{number} is not a state; want some of {', '.join(State)}")
    return [_STATE_OF[number] for number in numbers if number in _STATE_OF]


def severities(numbers: Sequence[alert_pb2.Severity.Value.ValueType], problems: Problems) -> list[Severity]:
    """The severities of a filter; notes each that is none."""
    for place, number in enumerate(numbers):
        if number not in _SEVERITY_OF:
            want = ", ".join(Severity)
            problems.add(f"severity[{place}]", f"{number} is not a severity; want some of {want}")
    return [_SEVERITY_OF[number] for number in numbers if number in _SEVERITY_OF]


def alert_message(alert: Alert) -> alert_pb2.Alert:
    """The alert as it is answered and told in events; what is unset costs nothing."""
    message = alert_pb2.Alert()
    message.alert_id = str(alert.alert_id)
    message.dedup_key = alert.dedup_key
    message.title = alert.title
    message.description = alert.description
    message.severity = SEVERITIES[alert.severity]
    message.source = alert.source
    message.state = _STATES[alert.state]
    message.policy_id = alert.policy_id
    message.trigger_count = alert.trigger_count
    message.version = alert.version
    message.opened_at.CopyFrom(_stamp(alert.opened_at))
    message.last_triggered_at.CopyFrom(_stamp(alert.last_triggered_at))
    labels = message.labels
    for name, value in alert.labels.items():
        labels[name] = value
    for name in _SELDOM:
        if value := getattr(alert, name):
            setattr(message, name, value)
    for name in _SELDOM_AT:
        if at := getattr(alert, name):
            getattr(message, name).CopyFrom(_stamp(at))
    if alert.parent_alert_id:
        message.parent_alert_id = str(alert.parent_alert_id)
    return message


def action_message(action: Action) -> alert_pb2.AlertAction:
    """The action as it is answered."""
    return alert_pb2.AlertAction(
        action_id=str(action.action_id),
        alert_id=str(action.alert_id),
        type=_ACTIONS[action.type],
        actor=action.actor,
        note=action.note,
        at=wire.timestamp(action.at),
    )


def execution_message(execution: Execution, *, foreseen: bool = False) -> alert_pb2.EscalationExecution:
    """The step as it is answered and told; one that is only foreseen has no id."""
    return alert_pb2.EscalationExecution(
        execution_id="" if foreseen else str(execution.execution_id),
        alert_id=str(execution.alert_id),
        policy_id=execution.policy_id,
        level=execution.level,
        reason=REASONS[execution.reason],
        targets=execution.targets,
        recipients=execution.recipients,
        at=wire.timestamp(execution.at),
        stale=execution.stale,
        catch_all=execution.catch_all,
    )


def page(execution: Execution, alert: Alert) -> page_service_pb2.Page:
    """What notify is told of a step."""
    return page_service_pb2.Page(execution=execution_message(execution), alert=alert_message(alert))


def event(happened: Happened, message: alert_pb2.Alert | None = None, trace: str | None = None) -> Event:
    """The event for the outbox; `message` is the alert after it, made when it is not given.

    `trace` is the W3C trace that it belongs to, the one under way when it is not given.
    """
    message = alert_message(happened.alert) if message is None else message
    return Event(
        type=happened.type.value,
        subject=message.alert_id,
        data=event_data(happened, message),
        at=happened.at,
        trace_parent=telemetry.trace_parent() if trace is None else trace,
    )


def event_data(happened: Happened, alert: alert_pb2.Alert) -> bytes:
    """What the event carries, serialised: in every event's message the alert is field 1.

    It is put before the rest as it is on the wire, which saves copying it into the message first.
    """
    content = alert.SerializeToString()
    rest = _event_message(happened, alert.version).SerializeToString()
    return b"".join((_ALERT_FIELD, _varint(len(content)), content, rest))


def _varint(number: int) -> bytes:
    """A length as protobuf writes it: seven bits a byte, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    return bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


def alert_of(data: bytes) -> alert_pb2.Alert:
    """The alert of an event of any type, as it was after it: each of them begins with it."""
    return events_pb2.AlertOpenedEvent.FromString(data).alert


def _event_message(happened: Happened, version: int) -> Message:
    """The event's message without its alert."""
    actor, note = happened.actor, happened.note
    match happened.type:
        case EventType.OPENED:
            return events_pb2.AlertOpenedEvent(version=version)
        case EventType.REPEATED:
            return events_pb2.AlertRepeatedEvent(version=version, triggers=happened.triggers)
        case EventType.SUPPRESSED:
            return events_pb2.AlertSuppressedEvent(version=version)
        case EventType.NOISE_SUPPRESSED:
            return events_pb2.AlertNoiseSuppressedEvent(version=version)
        case EventType.ACKNOWLEDGED:
            return events_pb2.AlertAcknowledgedEvent(version=version, note=note)
        case EventType.REOPENED:
            return events_pb2.AlertReopenedEvent(version=version, actor=actor, note=note)
        case EventType.SNOOZED:
            return events_pb2.AlertSnoozedEvent(version=version, actor=actor, note=note)
        case EventType.REASSIGNED:
            return events_pb2.AlertReassignedEvent(
                version=version, target=happened.target, actor=actor, note=note
            )
        case EventType.ESCALATED:
            assert happened.execution is not None
            execution = execution_message(happened.execution)
            return events_pb2.AlertEscalatedEvent(version=version, execution=execution)
        case EventType.EXHAUSTED:
            at = wire.timestamp(happened.at)
            return events_pb2.AlertEscalationExhaustedEvent(version=version, at=at)
        case EventType.CLOSED:
            return events_pb2.AlertClosedEvent(version=version, note=note)
