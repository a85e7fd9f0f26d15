"""Schedules in the database, and the note that one has changed."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, cast, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.schedule import Schedule
from services.roster.tables import revisions, schedules, watches

NAMES = [field.name for field in fields(Schedule)]
COLUMNS = [schedules.c[name] for name in NAMES]


async def add(conn: AsyncConnection, schedule: Schedule, request_id: str) -> bool:
    """Adds a schedule and its watch; False when the id or the request id is taken."""
    values = _values(schedule) | {"request_id": request_id or None, "revision": revisions.next_value()}
    added = await conn.execute(
        upsert(schedules).values(values).on_conflict_do_nothing().returning(schedules.c.schedule_id)
    )
    if added.one_or_none() is None:
        return False
    await conn.execute(
        insert(watches).values(
            schedule_id=schedule.schedule_id,
            responder_ids=[],
            gaps=[],
            watched_at=schedule.created_at,
            edited_at=schedule.created_at,
            due_at=schedule.created_at,
        )
    )
    return True


async def find(conn: AsyncConnection, schedule_id: str, *, lock: bool = False) -> Schedule | None:
    """One schedule, locked until the end of the transaction when asked; None when there is none."""
    query = select(*COLUMNS).where(schedules.c.schedule_id == schedule_id)
    return await _one(conn, query.with_for_update() if lock else query)


async def of_request(conn: AsyncConnection, request_id: str) -> Schedule | None:
    """The schedule that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(schedules.c.request_id == request_id))


async def page(conn: AsyncConnection, after: str, limit: int) -> Sequence[Schedule]:
    """Up to `limit` schedules by id, after the one named."""
    query = select(*COLUMNS).where(schedules.c.schedule_id > after).order_by(schedules.c.schedule_id)
    return [Schedule(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def naming(conn: AsyncConnection, responder_id: str) -> Sequence[Schedule]:
    """The schedules whose layers name a person, by id."""
    path = cast("$[*] ? (@.responder_ids[*] == $id || @.keeper == $id)", JSONPATH)
    named = func.jsonb_path_exists(schedules.c.layers, path, func.jsonb_build_object("id", responder_id))
    query = select(*COLUMNS).where(named).order_by(schedules.c.schedule_id)
    return [Schedule(**row._asdict()) for row in await conn.execute(query)]


async def owner(conn: AsyncConnection, schedule_id: str) -> str:
    """The team that a schedule belongs to; empty when it belongs to none, or is none."""
    query = select(schedules.c.team_id).where(schedules.c.schedule_id == schedule_id)
    return (await conn.execute(query)).scalar_one_or_none() or ""


async def owned(conn: AsyncConnection, team_id: str) -> Sequence[str]:
    """The ids of the schedules that belong to a team."""
    query = select(schedules.c.schedule_id).where(schedules.c.team_id == team_id)
    return (await conn.execute(query.order_by(schedules.c.schedule_id))).scalars().all()


async def hold(conn: AsyncConnection, schedule_id: str) -> bool:
    """Keeps a schedule from being deleted until the end of the transaction; False when there is none."""
    query = select(schedules.c.schedule_id).where(schedules.c.schedule_id == schedule_id)
    held = await conn.execute(query.with_for_update(key_share=True, read=True))
    return held.one_or_none() is not None


async def change(conn: AsyncConnection, schedule: Schedule, now: datetime) -> None:
    """Writes the values of a schedule that exists."""
    statement = update(schedules).where(schedules.c.schedule_id == schedule.schedule_id)
    await conn.execute(statement.values(_values(schedule)))
    await touch(conn, schedule.schedule_id, now)


async def remove(conn: AsyncConnection, schedule_id: str) -> bool:
    """Removes a schedule with its shifts and overrides; False when there is none."""
    gone = await conn.execute(delete(schedules).where(schedules.c.schedule_id == schedule_id))
    return gone.rowcount == 1


async def touch(conn: AsyncConnection, schedule_id: str, now: datetime) -> bool:
    """Notes that something of a schedule changes; False when there is no such schedule.

    Changes of one schedule follow each other: the next one waits here for the end of this transaction.
    """
    touched = update(schedules).where(schedules.c.schedule_id == schedule_id)
    found = await conn.execute(touched.values(revision=revisions.next_value()))
    watch = update(watches).where(watches.c.schedule_id == schedule_id)
    await conn.execute(watch.values(edited_at=func.coalesce(watches.c.edited_at, now), due_at=now))
    return found.rowcount == 1


def _values(schedule: Schedule) -> dict[str, Any]:
    return {name: getattr(schedule, name) for name in NAMES}


async def _one(conn: AsyncConnection, query: Select[Any]) -> Schedule | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Schedule(**row._asdict())
