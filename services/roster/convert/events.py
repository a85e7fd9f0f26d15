"""The events of the stream TOCSIN_ROSTER."""

from datetime import datetime
from typing import Literal

from chassis import auth, telemetry, wire
from chassis.outbox import Event
from services.roster.domain.handover import Handover
from services.roster.domain.interval import Interval
from tocsin.roster.v1 import events_pb2

STREAM, SUBJECTS, SOURCE = "TOCSIN_ROSTER", "roster.>", "/tocsin/roster"


def changed(
    resource: Literal["responder", "team", "schedule", "shift", "override", "time_off", "swap", "api_key"],
    resource_id: str,
    change: Literal["created", "updated", "deleted"],
    now: datetime,
    *,
    schedule_id: str = "",
) -> Event:
    """`roster.changed`: the caller edited the roster."""
    message = events_pb2.ChangedEvent(
        resource=resource,
        resource_id=resource_id,
        change=change,
        schedule_id=schedule_id,
        actor=auth.caller().subject,
        at=wire.timestamp(now),
    )
    return Event(
        "roster.changed", resource_id, message.SerializeToString(), now, trace_parent=telemetry.trace_parent()
    )


def handover(schedule_id: str, change: Handover) -> Event:
    """`roster.handover`: who is on call has changed."""
    message = events_pb2.HandoverEvent(
        schedule_id=schedule_id,
        outgoing_responder_ids=change.outgoing,
        incoming_responder_ids=change.incoming,
        at=wire.timestamp(change.at),
    )
    return Event("roster.handover", schedule_id, message.SerializeToString(), change.at)


def gap_ahead(schedule_id: str, gap: Interval, now: datetime) -> Event:
    """`roster.gap_ahead`: nobody will be on call."""
    message = events_pb2.GapAheadEvent(
        schedule_id=schedule_id, starts_at=wire.timestamp(gap.starts_at), ends_at=wire.timestamp(gap.ends_at)
    )
    return Event("roster.gap_ahead", schedule_id, message.SerializeToString(), now)
