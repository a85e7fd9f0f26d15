"""Writes what verbs and steps have decided: alerts, timers, timelines and events, all in one transaction."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.ids import uuid7
from chassis.outbox import Event
from services.escalation.convert import alerts as convert
from services.escalation.domain.alert import Action, Change, EventType, State
from services.escalation.domain.timer import Kind, Timer
from services.escalation.domain.turns import Turn
from services.escalation.storage import noise
from services.escalation.storage.changes import Changes, write
from tocsin.escalation.v1 import alert_pb2

OVER = (EventType.CLOSED, EventType.SUPPRESSED, EventType.NOISE_SUPPRESSED)
LOUD = (EventType.OPENED, EventType.ACKNOWLEDGED)
"""After which events an alert stands for no other any more, and after which it may do so again."""
NONE: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Made:
    """A change to be written, and the W3C trace that it belongs to, or nothing."""

    change: Change
    trace: str = ""


async def record(
    conn: AsyncConnection,
    made: Sequence[Made],
    now: datetime,
    *,
    used: Iterable[Timer] = (),
    turns: Collection[Turn] = (),
    reviews: Mapping[str, datetime] = NONE,
) -> list[alert_pb2.Alert]:
    """Writes the changes of alerts that are locked, in order, and answers each alert as it is after its change.

    Several changes of one alert follow one another: each begins with what the one before left. `used` are timers that
    have been decided; they are gone, unless a change sets them anew. `turns` are those of levels after these steps.
    `reviews` are asked for besides those that follow from the changes. Nothing may be locked after this.
    """
    messages = [convert.alert_message(one.change.alert) for one in made]
    changes = [one.change for one in made]
    stopped, timers = _timing(changes, used)
    if stopped or timers or any(change.events or change.action for change in changes):
        await write(
            conn,
            Changes(
                alerts={change.alert.alert_id: change.alert for change in changes if change.events}.values(),
                hushed={change.alert.alert_id for change in changes if change.hush},
                stopped=stopped - timers.keys(),
                timers=timers.values(),
                actions=_actions(changes, now),
                turns=turns,
                executions=[
                    e.execution for change in changes for e in change.events if e.execution is not None
                ],
                events=[event for pair in zip(made, messages, strict=True) for event in _events(*pair)],
            ),
        )
    await _turn(conn, changes, reviews, now)
    return messages


async def _turn(
    conn: AsyncConnection, changes: Sequence[Change], asked: Mapping[str, datetime], now: datetime
) -> None:
    """Has others judged anew who stand behind alerts that fire no more, or are inhibited by those that do again."""
    ids = {
        kind: {c.alert.alert_id for c in changes for event in c.events if event.type is kind}
        for kind in (*OVER, *LOUD)
    }
    closed = ids[EventType.CLOSED]
    over, loud = set().union(*(ids[kind] for kind in OVER)), set().union(*(ids[kind] for kind in LOUD))
    if over or loud or asked:
        await noise.turned(conn, closed=closed, over=over, loud=loud - closed, asked=asked, now=now)


def _timing(
    changes: Sequence[Change], used: Iterable[Timer]
) -> tuple[set[tuple[UUID, Kind]], dict[tuple[UUID, Kind], Timer]]:
    """The timers to be stopped, and those to be set: of several changes of one alert the last counts."""
    stopped = {(timer.alert_id, timer.kind) for timer in used}
    timers: dict[tuple[UUID, Kind], Timer] = {}
    for change in changes:
        if change.hush:
            for kind in Kind:
                if kind is Kind.CLOSE and change.alert.state is not State.CLOSED:
                    continue
                stopped.add((change.alert.alert_id, kind))
                timers.pop((change.alert.alert_id, kind), None)
        if change.timer is not None:
            timers[change.timer.alert_id, change.timer.kind] = change.timer
    return stopped, timers


def _actions(changes: Sequence[Change], now: datetime) -> list[Action]:
    return [
        Action(change.alert.alert_id, uuid7(), change.action, change.by.actor, change.by.note, now)
        for change in changes
        if change.action is not None
    ]


def _events(one: Made, message: alert_pb2.Alert) -> Iterator[Event]:
    for happened in one.change.events:
        as_then = message if happened.alert is one.change.alert else None
        yield convert.event(happened, as_then, one.trace)
