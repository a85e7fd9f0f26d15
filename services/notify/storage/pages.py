"""Pages: accepted once per escalation step, with all their route logs and events in one statement."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import Event
from chassis.recordset import recordset
from services.notify.domain.page import Page, Settled
from services.notify.domain.route import Kind, RouteLog, Status
from services.notify.tables import alerts, pages, route_logs

SETTLED = "the alert was taken or closed"

_ACCEPT: LiteralString = """
with given as materialized (
    select * from json_to_recordset(%(pages)s::json) as g (
        execution_id uuid, alert_id uuid, alert_version bigint, alert text, reason text, level int,
        accepted_at timestamptz, severity text)
), accepted as (
    insert into pages (execution_id, alert_id, alert_version, alert, reason, level, accepted_at, severity)
    select execution_id, alert_id, alert_version, decode(alert, 'base64'), reason, level, accepted_at, severity
    from given order by execution_id on conflict do nothing
    returning execution_id, alert_id, alert_version, accepted_at
), known as (
    insert into alerts (alert_id, settled_version, touched_at)
    select alert_id, 0, max(accepted_at) from accepted group by alert_id order by alert_id
    on conflict (alert_id) do update set touched_at = excluded.touched_at
    returning alert_id, settled_version
), planned as materialized (
    select r.*, a.alert_id, a.accepted_at, r.status = 'PENDING' and k.settled_version >= a.alert_version as late
    from json_to_recordset(%(routes)s::json) as r (
        route_log_id uuid, execution_id uuid, responder_id text, channel text, contact_method_id text,
        address text, status text, attempts int, sent_at timestamptz, due_at timestamptz, expires_at timestamptz,
        decision text, delay interval, fail_over_at timestamptz)
    join accepted a using (execution_id) join known k using (alert_id)
), counted as (
    insert into inboxes (responder_id, last_position)
    select responder_id, count(*) from planned where channel = 'IN_APP' group by responder_id order by responder_id
    on conflict (responder_id) do update set last_position = inboxes.last_position + excluded.last_position
    returning responder_id, last_position
), written as (
    insert into route_logs (route_log_id, execution_id, alert_id, responder_id, channel, contact_method_id, address,
        status, attempts, last_error, created_at, sent_at, due_at, expires_at, position, decision, delay, fail_over_at)
    select route_log_id, execution_id, alert_id, responder_id, channel, contact_method_id, address,
        case when late then 'CANCELLED' else status end, attempts, case when late then %(settled)s else '' end,
        accepted_at, sent_at, case when late then null else due_at end, expires_at,
        case when channel = 'IN_APP' then last_position + 1
            - row_number() over (partition by responder_id, channel order by route_log_id desc) end,
        decision, delay, case when late then null else fail_over_at end
    from planned left join counted using (responder_id)
)
insert into outbox (id, type, subject, data, at, trace_parent)
select e.id, e.type, e.subject, decode(e.data, 'base64'), e.at, e.trace_parent
from json_to_recordset(%(events)s::json) as e (
    execution_id uuid, id uuid, type text, subject text, data text, at timestamptz, trace_parent text)
join accepted using (execution_id)"""


async def accept(
    conn: RawConnection,
    given: Sequence[Page],
    routes: Sequence[RouteLog],
    events: Sequence[tuple[UUID, Event]],
    now: datetime,
) -> None:
    """Writes the pages that are new, with their route logs and the events of their execution ids; hot.

    What is not sent yet of an alert that was taken or closed at this version or later is written as cancelled. Each
    execution id may be given once.
    """
    await conn.execute(
        _ACCEPT,
        {
            "pages": recordset(_page(page, now) for page in given),
            "routes": recordset(map(_route, routes)),
            "events": recordset(_event(*one) for one in events),
            "settled": SETTLED,
        },
    )


async def settle(conn: AsyncConnection, settled: Iterable[Settled], now: datetime) -> int:
    """Cancels what is not sent yet of alerts that were taken or closed, each at a version of the alert.

    Pages of later versions stay: they were decided afterwards, for a handover say. Returns how many were cancelled.
    """
    rows = [
        {
            "alert_id": one.alert_id,
            "settled_version": one.version,
            "touched_at": now,
            "settled_type": one.type,
            "settled_alert": one.alert,
            "settled_by": one.by,
        }
        for one in sorted(settled, key=lambda one: one.alert_id)
    ]
    statement = upsert(alerts).values(rows)
    newer = statement.excluded.settled_version
    await conn.execute(
        statement.on_conflict_do_update(
            index_elements=["alert_id"],
            set_={name: statement.excluded[name] for name in rows[0]},
            where=alerts.c.settled_version < newer,
        )
    )
    waiting = (
        select(route_logs.c.route_log_id)
        .join(pages, pages.c.execution_id == route_logs.c.execution_id)
        .join(alerts, alerts.c.alert_id == pages.c.alert_id)
        .where(
            route_logs.c.status == Status.PENDING,
            pages.c.alert_version <= alerts.c.settled_version,
            alerts.c.alert_id.in_([row["alert_id"] for row in rows]),
            route_logs.c.kind == Kind.PAGE,
        )
        .order_by(route_logs.c.route_log_id)
        .with_for_update(of=route_logs)
        .cte("waiting")
    )
    cancelled = update(route_logs).where(route_logs.c.route_log_id == waiting.c.route_log_id)
    return (
        await conn.execute(
            cancelled.values(status=Status.CANCELLED, due_at=None, fail_over_at=None, last_error=SETTLED)
        )
    ).rowcount


def _page(page: Page, now: datetime) -> dict[str, Any]:
    return {
        "execution_id": page.execution_id,
        "alert_id": page.alert_id,
        "alert_version": page.alert_version,
        "alert": page.alert,
        "reason": page.reason,
        "level": page.level,
        "accepted_at": now,
        "severity": page.severity,
    }


def _route(route: RouteLog) -> dict[str, Any]:
    return {
        "route_log_id": route.route_log_id,
        "execution_id": route.execution_id,
        "responder_id": route.responder_id,
        "channel": route.channel,
        "contact_method_id": route.contact_method_id,
        "address": route.address,
        "status": route.status,
        "attempts": route.attempts,
        "sent_at": route.sent_at,
        "due_at": route.due_at,
        "expires_at": route.expires_at,
        "decision": route.decision,
        "delay": route.delay,
        "fail_over_at": route.fail_over_at,
    }


def _event(execution_id: UUID, event: Event) -> dict[str, Any]:
    return {
        "execution_id": str(execution_id),
        "id": event.id,
        "type": event.type,
        "subject": event.subject,
        "data": event.data,
        "at": event.at,
        "trace_parent": event.trace_parent,
    }
