"""Watches over schedules in the database: due rows that any replica may claim."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime, timedelta

from sqlalchemy import Text, any_, func, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.handover import Watch
from services.roster.tables import schedules, watches

COLUMNS = [watches.c[field.name] for field in fields(Watch)]


async def claim_due(conn: AsyncConnection, now: datetime, limit: int) -> list[Watch]:
    """Up to `limit` watches that are due and that no other replica has claimed, held until the transaction ends."""
    query = select(*COLUMNS).where(watches.c.due_at <= now).order_by(watches.c.due_at).limit(limit)
    found = await conn.execute(query.with_for_update(skip_locked=True))
    return [Watch(**row._asdict()) for row in found]


async def revisions(conn: AsyncConnection, claimed: Sequence[Watch]) -> dict[str, int]:
    """The revisions of the schedules of claimed watches.

    Asked after the claim: an edit that is not seen here makes its watch due again.
    """
    named = any_(literal([watch.schedule_id for watch in claimed], ARRAY(Text)))
    query = select(schedules.c.schedule_id, schedules.c.revision).where(schedules.c.schedule_id == named)
    return {row.schedule_id: row.revision for row in await conn.execute(query)}


async def save(conn: AsyncConnection, watch: Watch) -> None:
    """Writes what a look has found."""
    values = {field.name: getattr(watch, field.name) for field in fields(Watch)}
    await conn.execute(update(watches).where(watches.c.schedule_id == watch.schedule_id).values(values))


async def due_in(conn: AsyncConnection, now: datetime) -> timedelta | None:
    """How long no watch will be due; None when there is none at all."""
    next_at = (await conn.execute(select(func.min(watches.c.due_at)))).scalar_one()
    return None if next_at is None else next_at - now
