"""Events to facts, requests to periods and filters, figures to answers: protobuf stops here."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from chassis import validation, wire
from chassis.bus import Received
from chassis.errors import Problems
from services.sla.domain.fact import Fact
from services.sla.domain.figures import Filter, Overview, Statistics, Window
from services.sla.domain.steps import Step
from tocsin.escalation.v1 import alert_pb2
from tocsin.escalation.v1 import events_pb2 as alert_events
from tocsin.notify.v1 import events_pb2 as notification_events
from tocsin.sla.v1 import sla_pb2, sla_service_pb2

PERIOD = timedelta(days=30)
"""How long a period is whose start is left out."""

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
    return _of_alert(event, escalations={execution.execution_id: reason})


def _of_sent(event: notification_events.NotificationSentEvent) -> Fact:
    route = event.route_log
    return Fact(
        alert_id=UUID(route.alert_id),
        first_paged_at=wire.instant(route, "sent_at") or wire.instant(event, "at"),
        told=frozenset([route.responder_id]),
    )


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
    "alert.reopened": (alert_events.AlertReopenedEvent, _of_alert),
    "alert.snoozed": (alert_events.AlertSnoozedEvent, _of_alert),
    "alert.reassigned": (alert_events.AlertReassignedEvent, _of_alert),
    "alert.escalated": (alert_events.AlertEscalatedEvent, _of_escalation),
    "alert.escalation_exhausted": (alert_events.AlertEscalationExhaustedEvent, _of_alert),
    "alert.closed": (alert_events.AlertClosedEvent, _of_alert),
    "notification.sent": (notification_events.NotificationSentEvent, _of_sent),
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


def window(message: Message, *, now: datetime, problems: Problems) -> Window:
    """The period that a request names, by default the 30 days until now."""
    end = wire.instant(message, "end") or now
    start = wire.instant(message, "start") or end - PERIOD
    validation.interval(problems, start, end, names=("start", "end"))
    return Window(start, end)


def filter_of(
    message: sla_service_pb2.GetOverviewRequest | sla_service_pb2.GetTimeSeriesRequest, *, problems: Problems
) -> Filter:
    """The alerts that a request asks for; a severity that is not given stands for any."""
    known = alert_pb2.Severity.Value.values()
    for place, number in enumerate(message.severity):
        if number not in known:
            problems.add(
                f"severity[{place}]", f"{number} is not a severity; want CRITICAL, HIGH, MEDIUM, LOW or INFO"
            )
    validation.text(problems, "policy_id", message.policy_id, most=63)
    validation.text(problems, "source", message.source, most=1024)
    severities = {alert_pb2.Severity.Value.Name(number) for number in message.severity if number in known}
    if 0 in message.severity:
        severities = set()
    return Filter(frozenset(severities), message.policy_id, message.source)


def steps(message: sla_service_pb2.GetTimeSeriesRequest, *, problems: Problems) -> tuple[Step, str]:
    """How a request wants its period divided, and the name of the zone: by default into days of UTC."""
    kinds = sla_service_pb2.GetTimeSeriesRequest.Step
    known = {kinds.Value(step): step for step in Step} | {kinds.Value("STEP_UNSPECIFIED"): Step.DAY}
    if message.step not in known:
        problems.add("step", f"{message.step} is not a step; want HOUR, DAY or WEEK")
    zone = message.time_zone or "UTC"
    validation.zone(problems, "time_zone", zone)
    return known.get(message.step, Step.DAY), zone


def overview_message(window: Window, figures: Overview) -> sla_pb2.Overview:
    """The figures of a period as they are answered."""
    return sla_pb2.Overview(
        start=wire.timestamp(window.start),
        end=wire.timestamp(window.end),
        total_alerts=figures.total_alerts,
        acked_alerts=figures.acked_alerts,
        closed_alerts=figures.closed_alerts,
        timeout_escalated_alerts=figures.timeout_escalated_alerts,
        timeout_escalation_rate=figures.timeout_escalation_rate,
        mtta_seconds=_statistics(figures.mtta),
        mttr_seconds=_statistics(figures.mttr),
        suppressed_alerts=figures.suppressed_alerts,
        noise_suppressed_alerts=figures.noise_suppressed_alerts,
    )


def point_message(window: Window, figures: Overview) -> sla_pb2.TimeSeriesPoint:
    """One step of a time series as it is answered."""
    return sla_pb2.TimeSeriesPoint(
        start=wire.timestamp(window.start), overview=overview_message(window, figures)
    )


def _statistics(figures: Statistics) -> sla_pb2.DurationStatistics:
    return sla_pb2.DurationStatistics(avg=figures.avg, p50=figures.p50, p90=figures.p90, p99=figures.p99)
