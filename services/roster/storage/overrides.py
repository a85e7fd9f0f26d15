"""Overrides in the database."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, delete, or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.shift import Filter, Override
from services.roster.tables import overrides

COLUMNS = [overrides.c[field.name] for field in fields(Override)]


async def add(conn: AsyncConnection, override: Override, request_id: str) -> bool:
    """Adds an override; False when the request id is taken."""
    values = asdict(override) | {"request_id": request_id or None}
    added = await conn.execute(
        insert(overrides).values(values).on_conflict_do_nothing().returning(overrides.c.override_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, override_id: UUID) -> Override | None:
    """One override; None when there is none."""
    return await _one(conn, select(*COLUMNS).where(overrides.c.override_id == override_id))


async def of_request(conn: AsyncConnection, request_id: str) -> Override | None:
    """The override that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(overrides.c.request_id == request_id))


async def page(
    conn: AsyncConnection, only: Filter, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Override]:
    """Up to `limit` overrides, the newest first, after the one named; a person is one who covers or is replaced."""
    age = tuple_(overrides.c.created_at, overrides.c.override_id)
    query = select(*COLUMNS).order_by(overrides.c.created_at.desc(), overrides.c.override_id.desc())
    if only.schedule_id:
        query = query.where(overrides.c.schedule_id == only.schedule_id)
    if only.responder_id:
        covers = overrides.c.responder_id == only.responder_id
        query = query.where(or_(covers, overrides.c.replaced_responder_id == only.responder_id))
    if only.start is not None:
        query = query.where(overrides.c.ends_at > only.start)
    if only.end is not None:
        query = query.where(overrides.c.starts_at < only.end)
    if after is not None:
        query = query.where(age < after)
    return [Override(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def remove(conn: AsyncConnection, override_id: UUID) -> bool:
    """Removes an override; False when there is none."""
    gone = await conn.execute(delete(overrides).where(overrides.c.override_id == override_id))
    return gone.rowcount == 1


async def _one(conn: AsyncConnection, query: Select[Any]) -> Override | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Override(**row._asdict())
