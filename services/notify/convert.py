"""Protobuf and JSON to the domain of notify and back, nowhere else."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage

from chassis import telemetry, validation, wire
from chassis.errors import Problems
from chassis.outbox import Event
from services.notify.domain import wording
from services.notify.domain.contact_method import Channel, ContactMethod, Severity
from services.notify.domain.decision import Decision
from services.notify.domain.delivery import Claimed, Message, Parcel
from services.notify.domain.inbox import Item
from services.notify.domain.page import TEST, Page, Settled
from services.notify.domain.quiet_hours import MOST_QUIET_HOURS, QuietHours
from services.notify.domain.reach import Unreachable
from services.notify.domain.route import Kind as RouteKind
from services.notify.domain.route import Receipt, RouteLog, Status
from tocsin.escalation.v1 import alert_pb2
from tocsin.escalation.v1 import events_pb2 as alert_events
from tocsin.notify.v1 import (
    contact_method_pb2,
    events_pb2,
    inbox_service_pb2,
    page_service_pb2,
    route_pb2,
    template_pb2,
)

Kind = TypeVar("Kind", bound=StrEnum)

MOST_RECIPIENTS = 1_000
_WEEKDAYS = contact_method_pb2.QuietHours.Weekday
_DAYS = _WEEKDAYS.keys()[1:]
_SAMPLE = alert_pb2.Alert(
    alert_id=str(UUID(int=0)),
    title="Disk of db-1 is 97 % full",
    description="It grows by 1 GB an hour.",
    severity=alert_pb2.Severity.CRITICAL,
    source="prometheus",
    state=alert_pb2.Alert.OPEN,
    labels={"host": "db-1", "team": "db"},
    opened_at=wire.timestamp(wire.EPOCH),
    trigger_count=1,
    version=1,
)
_TIME = re.compile(r"[0-2]\d:[0-5]\d", re.ASCII)
_CHANNELS = contact_method_pb2.Channel.Value
_STATUSES = route_pb2.RouteLog.Status
_CHANNEL_NUMBERS = {one: _CHANNELS.Value(one) for one in Channel}
_STATUS_NUMBERS = {one: _STATUSES.Value(one) for one in Status}
_KIND_NUMBERS = {one: route_pb2.RouteLog.Kind.Value(one) for one in RouteKind}
_DECISION_NUMBERS = {one: route_pb2.RouteLog.Decision.Value(one) for one in Decision}
_SEVERITIES = alert_pb2.Severity.Value
_REASONS = alert_pb2.EscalationExecution.Reason

_EVENTS: Mapping[Status, tuple[str, type[Any]]] = {
    Status.SENT: ("notification.sent", events_pb2.NotificationSentEvent),
    Status.DELIVERED: ("notification.delivered", events_pb2.NotificationDeliveredEvent),
    Status.READ: ("notification.read", events_pb2.NotificationReadEvent),
    Status.ACKNOWLEDGED: ("notification.acknowledged", events_pb2.NotificationAcknowledgedEvent),
    Status.FAILED: ("notification.failed", events_pb2.NotificationFailedEvent),
}


def channel(value: int, path: str, problems: Problems) -> Channel | None:
    """The channel of an enum value; None when it is not given, or noted as a problem."""
    return _member(Channel, _CHANNELS.items(), value, path, problems)


def severity(value: int, path: str, problems: Problems) -> Severity | None:
    """The severity of an enum value; None when it is not given, or noted as a problem."""
    return _member(Severity, _SEVERITIES.items(), value, path, problems)


def status(value: int, path: str, problems: Problems) -> Status | None:
    """The status of an enum value; None when it is not given, or noted as a problem."""
    return _member(Status, _STATUSES.items(), value, path, problems)


def contact_method(method: ContactMethod, *, secret: str = "") -> contact_method_pb2.ContactMethod:
    """The message of a contact method; the secret is shown only when it is passed here."""
    return contact_method_pb2.ContactMethod(
        contact_method_id=method.contact_method_id,
        responder_id=method.responder_id,
        channel=_CHANNELS.Value(method.channel),
        address=method.address,
        secret=secret,
        enabled=method.enabled,
        min_severity=_SEVERITIES.Value(method.min_severity),
        delay=wire.duration(method.delay),
        disabled_reason=method.disabled_reason,
        created_at=wire.timestamp(method.created_at),
        order=method.order,
        quiet_hours=[_quiet_hours(hours) for hours in method.quiet_hours],
        notify_on_resolve=method.notify_on_resolve,
        verified=method.verified,
        old_secret_until=wire.timestamp(method.old_secret_until),
        bundle_window=wire.duration(method.bundle_window),
        per_minute=method.per_minute,
    )


def quiet_hours(
    messages: Sequence[contact_method_pb2.QuietHours], problems: Problems
) -> tuple[QuietHours, ...]:
    """The quiet hours of messages; what is wrong with them is noted."""
    validation.count(problems, "quiet_hours", messages, most=MOST_QUIET_HOURS)
    return tuple(
        _hours(message, f"quiet_hours[{place}]", problems)
        for place, message in enumerate(messages[:MOST_QUIET_HOURS])
    )


def _hours(message: contact_method_pb2.QuietHours, path: str, problems: Problems) -> QuietHours:
    zone = message.time_zone or "UTC"
    validation.zone(problems, f"{path}.time_zone", zone)
    for place, day in enumerate(message.weekdays):
        if day not in range(1, 8):
            problems.add(f"{path}.weekdays[{place}]", "is not a weekday; want MON to SUN")
    return QuietHours(
        start=_time(message.start_time, f"{path}.start_time", problems),
        end=_time(message.end_time, f"{path}.end_time", problems),
        time_zone=zone,
        weekdays=frozenset(day - 1 for day in message.weekdays),
    )


def _time(text: str, path: str, problems: Problems) -> time:
    try:
        if _TIME.fullmatch(text):
            return time.fromisoformat(text)
    except ValueError:
        pass
    problems.add(path, f"{text[:64]!r} is not a time of day; want one like '22:00'")
    return time()


def _quiet_hours(hours: QuietHours) -> contact_method_pb2.QuietHours:
    return contact_method_pb2.QuietHours(
        start_time=hours.start.isoformat("minutes"),
        end_time=hours.end.isoformat("minutes"),
        time_zone=hours.time_zone,
        weekdays=[_WEEKDAYS.Value(_DAYS[day]) for day in sorted(hours.weekdays)],
    )


def page(message: page_service_pb2.Page, path: str, problems: Problems) -> Page:
    """The page of a message; what is wrong with it is noted."""
    execution, alert = message.execution, message.alert
    execution_id = _uuid(execution.execution_id, f"{path}.execution.execution_id", problems)
    alert_id = _uuid(alert.alert_id, f"{path}.alert.alert_id", problems)
    if execution.alert_id != alert.alert_id:
        problems.add(f"{path}.execution.alert_id", "is not the id of the alert")
    validation.count(problems, f"{path}.execution.recipients", execution.recipients, most=MOST_RECIPIENTS)
    for place, recipient in enumerate(execution.recipients):
        validation.name(problems, f"{path}.execution.recipients[{place}]", recipient)
    return Page(
        execution_id=execution_id,
        alert_id=alert_id,
        alert_version=alert.version,
        alert=alert.SerializeToString(),
        severity=severity(alert.severity, f"{path}.alert.severity", problems) or Severity.MEDIUM,
        reason=_REASONS.Name(execution.reason) if execution.reason in _REASONS.values() else "",
        level=execution.level,
        recipients=tuple(execution.recipients),
    )


def route_log(route: RouteLog, receipts: Iterable[Receipt] = ()) -> route_pb2.RouteLog:
    """The message of a route log with what was heard back of it."""
    return route_pb2.RouteLog(
        route_log_id=str(route.route_log_id),
        alert_id=str(route.alert_id),
        execution_id=str(route.execution_id),
        responder_id=route.responder_id,
        channel=_CHANNEL_NUMBERS[route.channel],
        address=route.address,
        status=_STATUS_NUMBERS[route.status],
        attempts=route.attempts,
        last_error=route.last_error,
        created_at=wire.timestamp(route.created_at),
        sent_at=wire.timestamp(route.sent_at),
        receipts=[receipt(one) for one in receipts],
        contact_method_id=route.contact_method_id,
        next_attempt_at=wire.timestamp(route.due_at),
        decision=_DECISION_NUMBERS[route.decision],
        delay=wire.duration(route.delay),
        failed_over_at=wire.timestamp(route.failed_over_at),
        kind=_KIND_NUMBERS[route.kind],
        bundle_id=str(route.bundle_id) if route.decision is Decision.BUNDLED and route.bundle_id else "",
    )


def receipt(one: Receipt) -> route_pb2.Receipt:
    """The message of a receipt."""
    return route_pb2.Receipt(
        receipt_id=one.receipt_id,
        status=_STATUS_NUMBERS[one.status],
        detail=one.detail,
        at=wire.timestamp(one.at),
        recorded_at=wire.timestamp(one.recorded_at),
    )


def inbox_item(item: Item) -> inbox_service_pb2.InboxItem:
    """The message of an inbox item."""
    return inbox_service_pb2.InboxItem(
        route_log_id=str(item.route.route_log_id),
        responder_id=item.route.responder_id,
        alert=_alert(item.alert),
        reason=_REASONS.Value(item.reason) if item.reason else _REASONS.REASON_UNSPECIFIED,
        level=item.level,
        created_at=wire.timestamp(item.route.created_at),
        read_at=wire.timestamp(item.route.read_at),
    )


def event(reached: Status, route: RouteLog, at: datetime) -> Event:
    """The event that a route log has reached a status; `route` is the row after that."""
    return told(reached, route_log(route), at)


@lru_cache(maxsize=256)
def _alert(alert: bytes) -> alert_pb2.Alert:
    """Read once for all who are told of it; whoever takes it copies it."""
    return alert_pb2.Alert.FromString(alert)


def told(reached: Status, message: route_pb2.RouteLog, at: datetime) -> Event:
    """The same for a route log that is a message already, with what was heard back of it."""
    kind, event_of = _EVENTS[reached]
    return _event(kind, event_of(route_log=message, at=wire.timestamp(at)), message, at)


def exhausted_event(route: RouteLog, at: datetime) -> Event:
    """The event that nothing reaches a person for an escalation step; `route` failed last."""
    message = route_log(route)
    event_of = events_pb2.NotificationExhaustedEvent(route_log=message, at=wire.timestamp(at))
    return _event("notification.exhausted", event_of, message, at)


def settled(type_: str, data: bytes) -> Settled:
    """What an `alert.acknowledged` or `alert.closed` event says."""
    closed = type_ == "alert.closed"
    kind = alert_events.AlertClosedEvent if closed else alert_events.AlertAcknowledgedEvent
    alert = kind.FromString(data).alert
    return Settled(
        alert_id=UUID(alert.alert_id),
        version=alert.version,
        type=type_,
        by=alert.closed_by if closed else alert.acked_by,
        alert=alert.SerializeToString(),
    )


def message(parcel: Parcel, url: Callable[[UUID], str], *, address: str, secrets: tuple[str, ...]) -> Message:
    """What is sent of claimed pages; its moment is that of acceptance. The address and the keys are in the clear.

    Of a bundle, `data` is about the worst, and `data.bundled` has the others in short. `url` makes the receipt link of
    a route log.
    """
    claimed = parcel.head
    route = claimed.route
    data: dict[str, Any] = {
        "alert": _alert_fields(claimed.alert),
        "reason": claimed.reason,
        "level": claimed.level,
        "responder_id": route.responder_id,
        "route_log_id": str(route.route_log_id),
        "receipt_url": url(route.route_log_id),
    }
    if len(parcel.pages) > 1:
        data["bundled"] = [_in_short(one, url) for one in parcel.pages[1:]]
    return Message(
        message_id=parcel.message_id,
        address=address,
        type=claimed.news or (wording.TEST if claimed.reason == TEST else wording.PAGE),
        at=claimed.accepted_at,
        data=data,
        thread=str(route.alert_id),
        secrets=secrets,
    )


def unreachable(
    responder_id: str, display_name: str, reason: Unreachable
) -> contact_method_pb2.UnreachableResponder:
    """The message of somebody whom nothing reaches."""
    return contact_method_pb2.UnreachableResponder(
        responder_id=responder_id,
        display_name=display_name,
        reason=contact_method_pb2.UnreachableResponder.Reason.Value(reason),
    )


def message_template(template: wording.Template) -> template_pb2.MessageTemplate:
    """The message of a template."""
    return template_pb2.MessageTemplate(
        channel=_CHANNELS.Value(template.channel),
        title=template.title,
        body=template.body,
        html=template.html,
        updated_at=wire.timestamp(template.updated_at),
    )


def sample(alert: alert_pb2.Alert) -> Message:
    """A page as templates see it, of an alert or, when it has no title, of one that is made up."""
    shown = alert if alert.title else _SAMPLE
    data = {
        "alert": _alert_fields(shown.SerializeToString()),
        "reason": "INITIAL",
        "level": 1,
        "responder_id": "ada",
        "route_log_id": str(UUID(int=0)),
        "receipt_url": "https://tocsin.example/receipt",
    }
    return Message(UUID(int=0), "", wording.PAGE, wire.EPOCH, data)


def trial_alert(alert_id: UUID, now: datetime) -> bytes:
    """The alert that a test page shows."""
    alert = alert_pb2.Alert(
        alert_id=str(alert_id),
        title="Test page from Tocsin",
        description="Nothing is wrong: somebody wanted to see whether pages arrive here.",
        severity=alert_pb2.Severity.INFO,
        source="tocsin",
        state=alert_pb2.Alert.OPEN,
        opened_at=wire.timestamp(now),
        trigger_count=1,
        version=1,
    )
    return alert.SerializeToString()


def _in_short(claimed: Claimed, url: Callable[[UUID], str]) -> dict[str, Any]:
    alert = _alert_fields(claimed.alert)
    named = {name: alert[name] for name in ("alert_id", "title", "severity", "state", "source")}
    return {
        "alert": named,
        "reason": claimed.reason,
        "level": claimed.level,
        "route_log_id": str(claimed.route.route_log_id),
        "receipt_url": url(claimed.route.route_log_id),
    }


@lru_cache(maxsize=256)
def _alert_fields(alert: bytes) -> Mapping[str, Any]:
    """The alert as the gateway prints it: snake_case names, defaults printed, unset messages null."""
    message = alert_pb2.Alert.FromString(alert)
    fields: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_MESSAGE and field.has_presence:
            fields.setdefault(field.name, None)
    return fields


def _event(kind: str, message: ProtoMessage, route: route_pb2.RouteLog, at: datetime) -> Event:
    return Event(
        type=kind,
        subject=route.route_log_id,
        data=message.SerializeToString(),
        at=at,
        trace_parent=telemetry.trace_parent(),
    )


def _uuid(text: str, path: str, problems: Problems) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        problems.add(path, f"{text[:64]!r} is not a UUID")
        return UUID(int=0)


def _member(
    kind: type[Kind], values: Iterable[tuple[str, int]], value: int, path: str, problems: Problems
) -> Kind | None:
    if value == 0:
        return None
    name = next((name for name, number in values if number == value), None)
    if name is None:
        problems.add(path, f"{value} is not a value; want one of {', '.join(kind)}")
        return None
    return kind(name)
