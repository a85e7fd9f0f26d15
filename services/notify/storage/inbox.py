"""The in-app inbox: items by their positions, which appear in order however many writers there are."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.inbox import Item
from services.notify.domain.route import RouteLog
from services.notify.storage import routes
from services.notify.tables import pages, route_logs

_FOLLOWING: LiteralString = f"""
select {routes.names("r")}, asked.place, p.alert, p.reason, p.level
from unnest(%(names)b::text[], %(positions)b::bigint[]) with ordinality as asked (name, after, place)
cross join lateral (
    select * from route_logs where responder_id = asked.name and position > asked.after
    order by position limit %(limit)s) r
join pages p on p.execution_id = r.execution_id
order by asked.place, r.position"""
_LAST_POSITIONS: LiteralString = """
select responder_id, last_position from inboxes where responder_id = any (%(names)b::text[])"""


async def find(
    conn: AsyncConnection, responder_id: str, *, unread_only: bool, before: int | None, limit: int
) -> list[Item]:
    """Items of one inbox, the newest first, below the given position."""
    query = _items().where(route_logs.c.responder_id == responder_id)
    if unread_only:
        query = query.where(route_logs.c.read_at.is_(None))
    if before is not None:
        query = query.where(route_logs.c.position < before)
    rows = await conn.execute(query.order_by(route_logs.c.position.desc()).limit(limit))
    return [_item(row._asdict()) for row in rows]


async def get(conn: AsyncConnection, route_log_id: UUID) -> Item | None:
    """One item."""
    row = (await conn.execute(_items().where(route_logs.c.route_log_id == route_log_id))).one_or_none()
    return row and _item(row._asdict())


async def following(conn: RawConnection, asked: Sequence[tuple[str, int]], limit: int) -> list[list[Item]]:
    """For each inbox and position asked for, the next items after it, oldest first, at most `limit` of each; hot."""
    names, positions = [name for name, _ in asked], [position for _, position in asked]
    found: list[list[Item]] = [[] for _ in asked]
    rows = await conn.execute(_FOLLOWING, {"names": names, "positions": positions, "limit": limit})
    for row in await rows.fetchall():
        place, alert, reason, level = row[routes.WIDTH :]
        found[place - 1].append(Item(routes.of_row(row), alert, reason, level))
    return found


async def last_positions(conn: RawConnection, responder_ids: Sequence[str]) -> Mapping[str, int]:
    """How far each inbox has come; one that never had an item is left out; hot."""
    rows = await conn.execute(_LAST_POSITIONS, {"names": list(responder_ids)})
    return dict(await rows.fetchall())


def _items() -> Select[Any]:
    return (
        select(route_logs, pages.c.alert, pages.c.reason, pages.c.level)
        .join(pages, pages.c.execution_id == route_logs.c.execution_id)
        .where(route_logs.c.position.is_not(None))
    )


def _item(columns: dict[str, Any]) -> Item:
    alert, reason, level = columns.pop("alert"), columns.pop("reason"), columns.pop("level")
    return Item(RouteLog(**columns), alert, reason, level)
