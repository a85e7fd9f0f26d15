"""Events of the other services, as the domain's values."""

from uuid import UUID

from chassis import wire
from chassis.errors import Invalid
from services.escalation.domain.news import Arrival, OutOfReach
from tocsin.notify.v1 import events_pb2 as notify_events
from tocsin.roster.v1 import events_pb2 as roster_events


def arrival(data: bytes) -> Arrival:
    """The people who come by a `roster.handover` event. Raises Invalid for one without an instant."""
    event = roster_events.HandoverEvent.FromString(data)
    at = wire.instant(event, "at")
    if at is None:
        raise Invalid.field("at", "is required")
    return Arrival(event.schedule_id, at, tuple(event.incoming_responder_ids))


def out_of_reach(data: bytes) -> OutOfReach:
    """The person whom a `notification.exhausted` event is about."""
    route = notify_events.NotificationExhaustedEvent.FromString(data).route_log
    return OutOfReach(UUID(route.alert_id), UUID(route.execution_id), route.responder_id)
