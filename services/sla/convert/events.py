"""Events to facts: what each of them says of an alert."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from chassis import wire
from chassis.bus import Received
from services.sla.domain.fact import Fact, Page, schedules_of
from tocsin.escalation.v1 import alert_pb2
from tocsin.escalation.v1 import events_pb2 as alert_events
from tocsin.notify.v1 import events_pb2 as notification_events

LIVE = {alert_pb2.Alert.State.OPEN, alert_pb2.Alert.State.ACKED}


def _of_alert(event: Any, **more: Any) -> Fact:
    alert = event.alert
    return Fact(
        alert_id=UUID(alert.alert_id),
        version=event.version,
        opened_at=wire.instant(alert, "opened_at"),
        severity=alert_pb2.Severity.Value.Name(alert.severity),
        policy_id=alert.policy_id,
        source=alert.source,
        title=alert.title,
        labels=dict(alert.labels),
        closed_at=wire.instant(alert, "closed_at"),
        closed_by=alert.closed_by,
        opened=alert.state in LIVE,
        acked_at=wire.instant(alert, "acked_at"),
        acked_by=alert.acked_by,
        **more,
    )


def _of_escalation(event: alert_events.AlertEscalatedEvent) -> Fact:
    execution = event.execution
    reason = alert_pb2.EscalationExecution.Reason.Name(execution.reason)
    return _of_alert(
        event,
        escalations={execution.execution_id: reason},
        schedules=schedules_of(execution.targets),
        responders=frozenset(execution.recipients),
    )


def _of_reopened(event: alert_events.AlertReopenedEvent) -> Fact:
    return _of_alert(event, reopenings=frozenset([event.version]))


def _of_sent(event: notification_events.NotificationSentEvent) -> Fact:
    route = event.route_log
    told = frozenset([route.responder_id])
    return Fact(
        alert_id=UUID(route.alert_id),
        first_paged_at=wire.instant(route, "sent_at") or wire.instant(event, "at"),
        told=told,
        responders=told,
    )


SENT = "notification.sent"
READERS: Mapping[str, tuple[type[Message], Callable[[Any], Fact]]] = {
    "alert.opened": (alert_events.AlertOpenedEvent, _of_alert),
    "alert.repeated": (alert_events.AlertRepeatedEvent, _of_alert),
    "alert.suppressed": (
        alert_events.AlertSuppressedEvent,
        lambda event: _of_alert(event, suppressed=True),
    ),
    "alert.noise_suppressed": (
        alert_events.AlertNoiseSuppressedEvent,
        lambda event: _of_alert(event, noise_suppressed=True),
    ),
    "alert.acknowledged": (alert_events.AlertAcknowledgedEvent, _of_alert),
    "alert.reopened": (alert_events.AlertReopenedEvent, _of_reopened),
    "alert.snoozed": (alert_events.AlertSnoozedEvent, _of_alert),
    "alert.reassigned": (alert_events.AlertReassignedEvent, _of_alert),
    "alert.escalated": (alert_events.AlertEscalatedEvent, _of_escalation),
    "alert.escalation_exhausted": (alert_events.AlertEscalationExhaustedEvent, _of_alert),
    "alert.closed": (alert_events.AlertClosedEvent, _of_alert),
    SENT: (notification_events.NotificationSentEvent, _of_sent),
}


def facts(events: Iterable[Received]) -> list[Fact]:
    """What the events say; types that say nothing of an alert's figures, or are not known, are passed over.

    Raises ValueError or DecodeError for an event that cannot be read.
    """
    found = []
    for event in events:
        if reader := READERS.get(event.type):
            kind, read = reader
            found.append(read(kind.FromString(event.data)))
    return found


def pages(events: Iterable[Received]) -> list[Page]:
    """The people who were reached. Raises ValueError or DecodeError for an event that cannot be read."""
    found = []
    for event in events:
        if event.type == SENT:
            sent = notification_events.NotificationSentEvent.FromString(event.data)
            route = sent.route_log
            at = wire.instant(route, "sent_at") or wire.instant(sent, "at")
            if at is not None:
                step = route.execution_id or route.route_log_id
                found.append(Page(step, UUID(route.alert_id), route.responder_id, at))
    return found
