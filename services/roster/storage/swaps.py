"""Swaps in the database."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.shift import Filter
from services.roster.domain.swap import State, Swap
from services.roster.tables import swaps

COLUMNS = [swaps.c[field.name] for field in fields(Swap)]


async def add(conn: AsyncConnection, swap: Swap, request_id: str) -> bool:
    """Adds a swap; False when the request id is taken."""
    values = asdict(swap) | {"request_id": request_id or None}
    added = await conn.execute(
        insert(swaps).values(values).on_conflict_do_nothing().returning(swaps.c.swap_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, swap_id: UUID, *, lock: bool = False) -> Swap | None:
    """One swap, locked until the end of the transaction when asked; None when there is none."""
    query = select(*COLUMNS).where(swaps.c.swap_id == swap_id)
    return await _one(conn, query.with_for_update() if lock else query)


async def of_request(conn: AsyncConnection, request_id: str) -> Swap | None:
    """The swap that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(swaps.c.request_id == request_id))


async def page(
    conn: AsyncConnection, only: Filter, state: State | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Swap]:
    """Up to `limit` swaps, the newest first, after the one named; a person is one who asks or takes."""
    query = select(*COLUMNS).order_by(swaps.c.created_at.desc(), swaps.c.swap_id.desc())
    if only.schedule_id:
        query = query.where(swaps.c.schedule_id == only.schedule_id)
    if only.responder_id:
        query = query.where(or_(swaps.c.asker_id == only.responder_id, swaps.c.taker_id == only.responder_id))
    if state is not None:
        query = query.where(swaps.c.state == state)
    if after is not None:
        query = query.where(tuple_(swaps.c.created_at, swaps.c.swap_id) < after)
    return [Swap(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def change(conn: AsyncConnection, swap: Swap) -> None:
    """Writes the values of a swap that exists."""
    await conn.execute(update(swaps).where(swaps.c.swap_id == swap.swap_id).values(asdict(swap)))


async def _one(conn: AsyncConnection, query: Select[Any]) -> Swap | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Swap(**row._asdict())
