"""Receipts: what was heard back, and how far it moved the route logs."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from uuid import UUID

from sqlalchemy import bindparam as bound
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.route import Receipt, RouteLog
from services.notify.tables import receipts, route_logs


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


async def add(conn: AsyncConnection, new: Sequence[Receipt]) -> None:
    """Writes receipts that are not there yet."""
    if new:
        await conn.execute(insert(receipts).values([asdict(receipt) for receipt in new]))


async def move(conn: AsyncConnection, routes: Sequence[RouteLog]) -> None:
    """Writes how far route logs have come because of receipts."""
    if routes:
        statement = (
            update(route_logs)
            .where(route_logs.c.route_log_id == bound("id"))
            .values(
                status=bound("status"),
                sent_at=bound("sent_at"),
                read_at=bound("read_at"),
                due_at=bound("due_at"),
                fail_over_at=bound("fail_over_at"),
                last_error=bound("last_error"),
            )
        )
        values = [
            {
                "id": route.route_log_id,
                "status": route.status,
                "sent_at": route.sent_at,
                "read_at": route.read_at,
                "due_at": route.due_at,
                "fail_over_at": route.fail_over_at,
                "last_error": route.last_error,
            }
            for route in routes
        ]
        await conn.execute(statement, values)
