"""Explicit shifts in the database."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, cast, delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.shift import Filter, Shift
from services.roster.tables import shifts

COLUMNS = [shifts.c[field.name] for field in fields(Shift)]


async def add(conn: AsyncConnection, shift: Shift, request_id: str) -> bool:
    """Adds a shift; False when it overlaps another of this person on this schedule, or the request id is taken."""
    values = asdict(shift) | {"request_id": request_id or None}
    added = await conn.execute(
        insert(shifts).values(values).on_conflict_do_nothing().returning(shifts.c.shift_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, shift_id: UUID) -> Shift | None:
    """One shift; None when there is none."""
    return await _one(conn, select(*COLUMNS).where(shifts.c.shift_id == shift_id))


async def of_request(conn: AsyncConnection, request_id: str) -> Shift | None:
    """The shift that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(shifts.c.request_id == request_id))


async def overlapping(conn: AsyncConnection, shift: Shift) -> Shift | None:
    """The first shift of the same person on the same schedule that shares time with this one."""
    query = select(*COLUMNS).where(
        shifts.c.schedule_id == shift.schedule_id,
        shifts.c.responder_id == shift.responder_id,
        shifts.c.starts_at < shift.ends_at,
        shifts.c.ends_at > shift.starts_at,
    )
    return await _one(conn, query.order_by(shifts.c.starts_at).limit(1))


async def page(
    conn: AsyncConnection, only: Filter, after: tuple[datetime, str, str, str] | None, limit: int
) -> Sequence[Shift]:
    """Up to `limit` shifts by start, schedule, responder and id, after the one named."""
    place = (shifts.c.starts_at, shifts.c.schedule_id, shifts.c.responder_id, cast(shifts.c.shift_id, Text))
    query = select(*COLUMNS).order_by(*place)
    if only.schedule_id:
        query = query.where(shifts.c.schedule_id == only.schedule_id)
    if only.responder_id:
        query = query.where(shifts.c.responder_id == only.responder_id)
    if only.start is not None:
        query = query.where(shifts.c.ends_at > only.start)
    if only.end is not None:
        query = query.where(shifts.c.starts_at < only.end)
    if after is not None:
        query = query.where(tuple_(*place) > after)
    return [Shift(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def remove(conn: AsyncConnection, shift_id: UUID) -> bool:
    """Removes a shift; False when there is none."""
    gone = await conn.execute(delete(shifts).where(shifts.c.shift_id == shift_id))
    return gone.rowcount == 1


async def _one(conn: AsyncConnection, query: Select[Any]) -> Shift | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Shift(**row._asdict())
