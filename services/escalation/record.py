"""Writes what verbs and steps have decided: alerts, timers, timelines and events, all in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import outbox
from chassis.ids import uuid7
from services.escalation.convert import alerts as convert
from services.escalation.domain.alert import Action, Alert, Change
from services.escalation.domain.timer import Kind, Timer
from services.escalation.storage import alerts, executions, timers
from tocsin.escalation.v1 import alert_pb2


@dataclass(frozen=True, slots=True)
class Made:
    """A change to be written, and the W3C trace that it belongs to, or nothing."""

    change: Change
    trace: str = ""


async def record(conn: AsyncConnection, made: Sequence[Made], now: datetime) -> list[alert_pb2.Alert]:
    """Writes the changes of alerts that are locked, in order, and answers each alert as it is after its change.

    Several changes of one alert follow one another: each begins with what the one before left.
    """
    changed: dict[UUID, Alert] = {}
    events: list[outbox.Event] = []
    messages: list[alert_pb2.Alert] = []
    for one in made:
        alert = one.change.alert
        message = convert.alert_message(alert)
        messages.append(message)
        if one.change.events:
            changed[alert.alert_id] = alert
        for happened in one.change.events:
            as_then = message if happened.alert is alert else None
            events.append(convert.event(happened, as_then, one.trace))
    changes = [one.change for one in made]
    await alerts.update(conn, changed.values())
    await _time(conn, changes)
    await alerts.note(conn, _actions(changes, now))
    await executions.add(conn, [e.execution for c in changes for e in c.events if e.execution is not None])
    await outbox.append(conn, events)
    return messages


async def _time(conn: AsyncConnection, changes: Sequence[Change]) -> None:
    """Stops and arms timers: of several changes of one alert the last counts."""
    hushed: dict[UUID, None] = {}
    armed: dict[tuple[UUID, Kind], Timer] = {}
    for change in changes:
        alert_id = change.alert.alert_id
        if change.hush:
            hushed[alert_id] = None
            for kind in Kind:
                armed.pop((alert_id, kind), None)
        if change.timer is not None:
            armed[alert_id, change.timer.kind] = change.timer
    await timers.hush(conn, list(hushed))
    await timers.arm(conn, armed.values())


def _actions(changes: Sequence[Change], now: datetime) -> list[Action]:
    return [
        Action(change.alert.alert_id, uuid7(), change.action, change.by.actor, change.by.note, now)
        for change in changes
        if change.action is not None
    ]
