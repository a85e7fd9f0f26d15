"""The one statement that writes what verbs and steps have decided: rows, timers, timelines and events together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import COLUMNS, Event
from chassis.recordset import recordset
from services.escalation.domain.alert import Action, Alert, Execution
from services.escalation.domain.timer import Kind, Timer
from services.escalation.domain.turns import Turn

_WRITE = text(
    f"""with step as materialized (
        select * from json_to_recordset(:executions) as step (
            execution_id uuid, alert_id uuid, policy_id text, level smallint, reason text, targets text[],
            recipients text[], at timestamptz, stale boolean, catch_all boolean)
    ), changed as (
        update alerts set
            state = new.state, acked_at = new.acked_at, acked_by = new.acked_by, closed_at = new.closed_at,
            closed_by = new.closed_by, snoozed_until = new.snoozed_until, trigger_count = new.trigger_count,
            last_triggered_at = new.last_triggered_at, escalation_level = new.escalation_level,
            suppressed_by = new.suppressed_by, parent_alert_id = new.parent_alert_id, version = new.version,
            exhausted_at = new.exhausted_at
        from json_to_recordset(:alerts) as new (
            alert_id uuid, state text, acked_at timestamptz, acked_by text, closed_at timestamptz,
            closed_by text, snoozed_until timestamptz, trigger_count int, last_triggered_at timestamptz,
            escalation_level smallint, suppressed_by text, parent_alert_id uuid, version bigint,
            exhausted_at timestamptz)
        where alerts.alert_id = new.alert_id
    ), stopped as (
        delete from timers using unnest(:stopped_ids, :stopped_kinds) stopped (id, what)
        where alert_id = id and kind = what
    ), unsent as (
        delete from pages where alert_id = any (:hushed)
    ), armed as (
        insert into timers
            (alert_id, kind, due_at, level, round, reason, targets, told, hurry, people, ready_at, policy_id)
        select alert_id, kind, due_at, level, round, reason, targets, told, hurry, people, due_at, policy_id
        from json_to_recordset(:timers) as timer (
            alert_id uuid, kind text, due_at timestamptz, level smallint, round smallint, reason text,
            targets text[], told boolean, hurry boolean, people text[])
        join alerts using (alert_id)
        on conflict (alert_id, kind) do update set
            due_at = excluded.due_at, level = excluded.level, round = excluded.round,
            reason = excluded.reason, targets = excluded.targets, told = excluded.told,
            hurry = excluded.hurry, people = excluded.people, ready_at = excluded.ready_at, claim = null
    ), noted as (
        insert into actions (alert_id, action_id, type, actor, note, at)
        select * from json_to_recordset(:actions) as action (
            alert_id uuid, action_id uuid, type text, actor text, note text, at timestamptz)
    ), stepped as (
        insert into executions
            (execution_id, alert_id, policy_id, level, reason, targets, recipients, at, stale, catch_all)
        select * from step
    ), paged as (
        insert into pages (execution_id, alert_id, ready_at, attempts, policy_id)
        select execution_id, alert_id, at, 0, policy_id from step where recipients <> '{{}}'
    ), turned as (
        insert into turns (policy_id, level, told)
        select * from json_to_recordset(:turns) as turn (policy_id text, level smallint, told text[])
        on conflict (policy_id, level) do update set told = excluded.told
    )
    insert into outbox ({COLUMNS})
    select id, type, subject, decode(data, 'base64'), at, trace_parent
    from rows from (json_to_recordset(:events) as (
        id uuid, type text, subject text, data text, at timestamptz, trace_parent text)) with ordinality
    as event (id, type, subject, data, at, trace_parent, place) order by place"""
).bindparams(
    bindparam("hushed", type_=ARRAY(Uuid)),
    bindparam("stopped_ids", type_=ARRAY(Uuid)),
    bindparam("stopped_kinds", type_=ARRAY(Text)),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written of alerts that are locked: each alert and each timer at most once.

    `hushed` are alerts whose pages not sent yet are dropped; `stopped` names timers that are, set or not.
    """

    alerts: Collection[Alert] = ()
    hushed: Collection[UUID] = ()
    stopped: Collection[tuple[UUID, Kind]] = ()
    timers: Collection[Timer] = ()
    actions: Sequence[Action] = ()
    executions: Sequence[Execution] = ()
    turns: Collection[Turn] = ()
    events: Sequence[Event] = ()


async def write(conn: AsyncConnection, changes: Changes) -> None:
    """Writes everything by one statement, the events in the order given."""
    await conn.execute(
        _WRITE,
        {
            "alerts": recordset(map(_alert, changes.alerts)),
            "timers": recordset(one._asdict() for one in changes.timers),
            "actions": recordset(changes.actions),
            "executions": recordset(changes.executions),
            "turns": recordset(one._asdict() for one in changes.turns),
            "events": recordset(changes.events),
            "hushed": list(changes.hushed),
            "stopped_ids": [alert_id for alert_id, _ in changes.stopped],
            "stopped_kinds": [kind.value for _, kind in changes.stopped],
        },
    )


def _alert(alert: Alert) -> Mapping[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "state": alert.state,
        "acked_at": alert.acked_at,
        "acked_by": alert.acked_by,
        "closed_at": alert.closed_at,
        "closed_by": alert.closed_by,
        "snoozed_until": alert.snoozed_until,
        "trigger_count": alert.trigger_count,
        "last_triggered_at": alert.last_triggered_at,
        "escalation_level": alert.escalation_level,
        "suppressed_by": alert.suppressed_by,
        "parent_alert_id": alert.parent_alert_id,
        "version": alert.version,
        "exhausted_at": alert.exhausted_at,
    }
