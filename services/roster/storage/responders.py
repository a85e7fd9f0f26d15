"""Responders in the database."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    any_,
    delete,
    exists,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.responder import Responder
from services.roster.domain.swap import OPEN
from services.roster.storage import schedules as stored_schedules
from services.roster.tables import overrides, responders, revisions, shifts, swaps

COLUMNS = [responders.c[field.name] for field in fields(Responder)]


async def add(conn: AsyncConnection, responder: Responder, request_id: str) -> bool:
    """Adds a responder; False when the id or the request id is taken."""
    values = asdict(responder) | {"request_id": request_id or None, "revision": revisions.next_value()}
    added = await conn.execute(
        insert(responders).values(values).on_conflict_do_nothing().returning(responders.c.responder_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, responder_id: str, *, lock: bool = False) -> Responder | None:
    """One responder, locked until the end of the transaction when asked; None when there is none."""
    query = select(*COLUMNS).where(responders.c.responder_id == responder_id)
    return await _one(conn, query.with_for_update() if lock else query)


async def of_request(conn: AsyncConnection, request_id: str) -> Responder | None:
    """The responder that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(responders.c.request_id == request_id))


async def page(conn: AsyncConnection, after: str, limit: int) -> Sequence[Responder]:
    """Up to `limit` responders by id, after the one named."""
    query = select(*COLUMNS).where(responders.c.responder_id > after).order_by(responders.c.responder_id)
    return [Responder(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def change(conn: AsyncConnection, responder: Responder) -> None:
    """Writes the values of a responder that exists."""
    values = asdict(responder) | {"revision": revisions.next_value()}
    await conn.execute(
        update(responders).where(responders.c.responder_id == responder.responder_id).values(values)
    )


async def remove(conn: AsyncConnection, responder_id: str, now: datetime) -> None:
    """Removes a responder with their shifts, overrides, time off and swaps, and notes the schedules that this changes."""
    of_shifts = select(shifts.c.schedule_id).where(shifts.c.responder_id == responder_id)
    of_overrides = select(overrides.c.schedule_id).where(_in_override(responder_id))
    for schedule_id in (await conn.execute(of_shifts.union(of_overrides))).scalars():
        await stored_schedules.touch(conn, schedule_id, now)
    await conn.execute(delete(responders).where(responders.c.responder_id == responder_id))


async def uses(conn: AsyncConnection, responder_id: str, now: datetime) -> list[str]:
    """Of what has not ended, what names a responder, for people to read; empty when nothing does."""
    shift = exists().where(shifts.c.responder_id == responder_id, shifts.c.ends_at > now)
    override = exists().where(_in_override(responder_id), overrides.c.ends_at > now)
    swap = exists().where(_in_swap(responder_id), swaps.c.state.in_(OPEN), swaps.c.ends_at > now)
    found = (await conn.execute(select(shift, override, swap))).one()
    return [name for name, is_used in zip(("shifts", "overrides", "swaps"), found, strict=True) if is_used]


async def missing(conn: AsyncConnection, responder_ids: Collection[str]) -> set[str]:
    """Which of the people do not exist; the others cannot be deleted before the end of the transaction."""
    if not responder_ids:
        return set()
    named = literal(sorted(responder_ids), ARRAY(Text))
    query = (
        select(responders.c.responder_id)
        .where(responders.c.responder_id == any_(named))
        .order_by(responders.c.responder_id)
        .with_for_update(key_share=True, read=True)
    )
    return {*responder_ids} - {*(await conn.execute(query)).scalars()}


def _in_override(responder_id: str) -> ColumnElement[bool]:
    return or_(overrides.c.responder_id == responder_id, overrides.c.replaced_responder_id == responder_id)


def _in_swap(responder_id: str) -> ColumnElement[bool]:
    return or_(swaps.c.asker_id == responder_id, swaps.c.taker_id == responder_id)


async def _one(conn: AsyncConnection, query: Select[Any]) -> Responder | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Responder(**row._asdict())
