"""The events of the stream TOCSIN_ROSTER."""

from datetime import datetime
from typing import Literal

from chassis import auth, telemetry, wire
from chassis.outbox import Event
from tocsin.roster.v1 import events_pb2

STREAM, SUBJECTS, SOURCE = "TOCSIN_ROSTER", "roster.>", "/tocsin/roster"


def changed(
    resource: Literal["responder", "schedule", "shift", "override"],
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
