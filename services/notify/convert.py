"""Protobuf and JSON to the domain of notify and back, nowhere else."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
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
from services.notify.domain.contact_method import Channel, ContactMethod, Severity
from services.notify.domain.delivery import Claimed
from services.notify.domain.inbox import Item
from services.notify.domain.page import Page
from services.notify.domain.route import Receipt, RouteLog, Status
from tocsin.escalation.v1 import alert_pb2
from tocsin.escalation.v1 import events_pb2 as alert_events
from tocsin.notify.v1 import contact_method_pb2, events_pb2, inbox_service_pb2, page_service_pb2, route_pb2

Kind = TypeVar("Kind", bound=StrEnum)

MOST_RECIPIENTS = 1_000
_CHANNELS = contact_method_pb2.Channel.Value
_STATUSES = route_pb2.RouteLog.Status
_SEVERITIES = alert_pb2.Severity.Value
_REASONS = alert_pb2.EscalationExecution.Reason

_EVENTS: Mapping[Status, tuple[str, type[ProtoMessage]]] = {
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
        channel=_CHANNELS.Value(route.channel),
        address=route.address,
        status=_STATUSES.Value(route.status),
        attempts=route.attempts,
        last_error=route.last_error,
        created_at=wire.timestamp(route.created_at),
        sent_at=wire.timestamp(route.sent_at),
        receipts=[receipt(one) for one in receipts],
        contact_method_id=route.contact_method_id,
        next_attempt_at=wire.timestamp(route.due_at),
    )


def receipt(one: Receipt) -> route_pb2.Receipt:
    """The message of a receipt."""
    return route_pb2.Receipt(
        receipt_id=one.receipt_id,
        status=_STATUSES.Value(one.status),
        detail=one.detail,
        at=wire.timestamp(one.at),
        recorded_at=wire.timestamp(one.recorded_at),
    )


def inbox_item(item: Item) -> inbox_service_pb2.InboxItem:
    """The message of an inbox item."""
    return inbox_service_pb2.InboxItem(
        route_log_id=str(item.route.route_log_id),
        responder_id=item.route.responder_id,
        alert=alert_pb2.Alert.FromString(item.alert),
        reason=_REASONS.Value(item.reason) if item.reason else _REASONS.REASON_UNSPECIFIED,
        level=item.level,
        created_at=wire.timestamp(item.route.created_at),
        read_at=wire.timestamp(item.route.read_at),
    )


def event(reached: Status, route: RouteLog, at: datetime, receipts: Iterable[Receipt] = ()) -> Event:
    """The event that a route log has reached a status; `route` is the row after that."""
    kind, message = _EVENTS[reached]
    return _event(kind, message, route, at, receipts)


def exhausted_event(route: RouteLog, at: datetime) -> Event:
    """The event that nothing reaches a person for an escalation step; `route` failed last."""
    return _event("notification.exhausted", events_pb2.NotificationExhaustedEvent, route, at, ())


def settled(type_: str, data: bytes) -> tuple[UUID, int]:
    """The alert of an `alert.acknowledged` or `alert.closed` event, and its version then."""
    kind = alert_events.AlertClosedEvent if type_ == "alert.closed" else alert_events.AlertAcknowledgedEvent
    found = kind.FromString(data)
    return UUID(found.alert.alert_id), found.alert.version


def webhook_body(claimed: Claimed, receipt_url: str) -> bytes:
    """What a webhook carries (CONTRACT §6): JSON in UTF-8; `timestamp` is when the page was accepted."""
    route = claimed.route
    data = {
        "alert": _alert_fields(claimed.alert),
        "reason": claimed.reason,
        "level": claimed.level,
        "responder_id": route.responder_id,
        "route_log_id": str(route.route_log_id),
        "receipt_url": receipt_url,
    }
    accepted_at = claimed.accepted_at.isoformat().replace("+00:00", "Z")
    body = {"type": "alert.escalated", "timestamp": accepted_at, "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


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


def _event(
    kind: str, message: type[ProtoMessage], route: RouteLog, at: datetime, receipts: Iterable[Receipt]
) -> Event:
    data = message(route_log=route_log(route, receipts), at=wire.timestamp(at))
    return Event(
        type=kind,
        subject=str(route.route_log_id),
        data=data.SerializeToString(),
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
