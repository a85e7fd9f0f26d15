"""The in-app inbox: items by their positions, which appear in order however many writers there are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Select, Text, column, select, values
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.inbox import Item
from services.notify.domain.route import RouteLog
from services.notify.tables import inboxes, pages, route_logs


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


async def following(conn: AsyncConnection, asked: Iterable[tuple[str, int]], limit: int) -> list[list[Item]]:
    """For each inbox and position asked for, the next items after it, oldest first, at most `limit` of each."""
    wanted = list(asked)
    starts = values(column("responder_id", Text), column("after", BigInteger), name="starts").data(wanted)
    next_items = (
        _items()
        .where(route_logs.c.responder_id == starts.c.responder_id, route_logs.c.position > starts.c.after)
        .order_by(route_logs.c.position)
        .limit(limit)
        .lateral("next_items")
    )
    query = select(starts.c.responder_id.label("asked_for"), starts.c.after, next_items).select_from(
        starts.join(next_items, onclause=starts.c.after >= 0)
    )
    found: dict[tuple[str, int], list[Item]] = {one: [] for one in wanted}
    for row in await conn.execute(query):
        columns = row._asdict()
        found[columns.pop("asked_for"), columns.pop("after")].append(_item(columns))
    return [sorted(found[one], key=lambda item: item.route.position or 0) for one in wanted]


async def last_positions(conn: AsyncConnection, responder_ids: Sequence[str]) -> Mapping[str, int]:
    """How far each inbox has come; one that never had an item is left out."""
    query = select(inboxes).where(inboxes.c.responder_id.in_(responder_ids))
    return {row.responder_id: row.last_position for row in await conn.execute(query)}


def _items() -> Select[Any]:
    return (
        select(route_logs, pages.c.alert, pages.c.reason, pages.c.level)
        .join(pages, pages.c.execution_id == route_logs.c.execution_id)
        .where(route_logs.c.position.is_not(None))
    )


def _item(columns: dict[str, Any]) -> Item:
    alert, reason, level = columns.pop("alert"), columns.pop("reason"), columns.pop("level")
    return Item(RouteLog(**columns), alert, reason, level)
