"""Receipts: what was heard back, how far it moved the route logs, and what follows from it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.outbox import COLUMNS, Event
from chassis.recordset import recordset
from services.notify.domain.route import Receipt, RouteLog, Status
from services.notify.storage import routes
from services.notify.storage.acknowledgements import Acknowledgement
from services.notify.tables import receipts

_LOCK: LiteralString = f"""
select {routes.names("route_logs")} from route_logs where route_log_id = any (%b::uuid[]) order by route_log_id for update"""
_HEARD: LiteralString = """
select route_log_id, receipt_id, status, detail, at, recorded_at from receipts
where route_log_id = any (%b::uuid[]) order by recorded_at, receipt_id"""
_RECORD: LiteralString = f"""
with heard as (
    insert into receipts (route_log_id, receipt_id, status, detail, at, recorded_at)
    select * from json_to_recordset(%(receipts)s::json) as r (
        route_log_id uuid, receipt_id text, status text, detail text, at timestamptz, recorded_at timestamptz)
), moved as (
    update route_logs set status = m.status, sent_at = m.sent_at, read_at = m.read_at, due_at = m.due_at,
        fail_over_at = m.fail_over_at, last_error = m.last_error
    from json_to_recordset(%(routes)s::json) as m (
        route_log_id uuid, status text, sent_at timestamptz, read_at timestamptz, due_at timestamptz,
        fail_over_at timestamptz, last_error text)
    where route_logs.route_log_id = m.route_log_id
), acknowledged as (
    insert into acknowledgements (route_log_id, alert_id, responder_id, note, attempts, due_at, answer)
    select *, '' from json_to_recordset(%(acknowledgements)s::json) as a (
        route_log_id uuid, alert_id uuid, responder_id text, note text, attempts int, due_at timestamptz)
    on conflict do nothing
)
insert into outbox ({COLUMNS})
select id, type, subject, decode(data, 'base64'), at, trace_parent from json_to_recordset(%(events)s::json) as e (
    id uuid, type text, subject text, data text, at timestamptz, trace_parent text)"""


async def of_routes(conn: AsyncConnection, route_log_ids: Iterable[UUID]) -> Mapping[UUID, list[Receipt]]:
    """What was heard back of each route log, oldest first."""
    query = (
        select(receipts)
        .where(receipts.c.route_log_id.in_(list(route_log_ids)))
        .order_by(receipts.c.recorded_at, receipts.c.receipt_id)
    )
    found: dict[UUID, list[Receipt]] = defaultdict(list)
    for row in await conn.execute(query):
        found[row.route_log_id].append(Receipt(**row._asdict()))
    return found


async def lock(conn: RawConnection, route_log_ids: Collection[UUID]) -> list[tuple[RouteLog, list[Receipt]]]:
    """The route logs with these ids, locked against other changes, and what was heard back of each; hot.

    Two statements: the second sees what was committed while the first waited. In a pipeline they share a round trip.
    """
    ids = [sorted(route_log_ids)]
    locked, told = await conn.execute(_LOCK, ids), await conn.execute(_HEARD, ids)
    known = [routes.of_row(row) for row in await locked.fetchall()]
    heard: dict[UUID, list[Receipt]] = defaultdict(list)
    for route_log_id, receipt_id, status, *rest in await told.fetchall():
        heard[route_log_id].append(Receipt(route_log_id, receipt_id, Status(status), *rest))
    return [(route, heard[route.route_log_id]) for route in known]


async def record(
    conn: RawConnection,
    new: Sequence[Receipt],
    moved: Sequence[RouteLog],
    acknowledgements: Sequence[Acknowledgement],
    events: Sequence[Event],
) -> None:
    """Writes new receipts of route logs that are locked, and what follows from them; hot.

    A route log acknowledges once, whatever comes later.
    """
    await conn.execute(
        _RECORD,
        {
            "receipts": recordset(new),
            "routes": recordset(map(_moved, moved)),
            "acknowledgements": recordset(acknowledgements),
            "events": recordset(events),
        },
    )


def _moved(route: RouteLog) -> dict[str, Any]:
    return {
        "route_log_id": route.route_log_id,
        "status": route.status,
        "sent_at": route.sent_at,
        "read_at": route.read_at,
        "due_at": route.due_at,
        "fail_over_at": route.fail_over_at,
        "last_error": route.last_error,
    }
