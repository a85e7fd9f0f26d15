"""Time off in the database, and the note that it changes schedules."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, any_, delete, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.shift import Filter
from services.roster.domain.time_off import TimeOff
from services.roster.storage import schedules as stored_schedules
from services.roster.tables import overrides, shifts, time_off

COLUMNS = [time_off.c[field.name] for field in fields(TimeOff)]


async def add(conn: AsyncConnection, entry: TimeOff, request_id: str) -> bool:
    """Enters time off; False when the request id is taken."""
    values = asdict(entry) | {"request_id": request_id or None}
    added = await conn.execute(
        insert(time_off).values(values).on_conflict_do_nothing().returning(time_off.c.time_off_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, time_off_id: UUID) -> TimeOff | None:
    """One entry; None when there is none."""
    return await _one(conn, select(*COLUMNS).where(time_off.c.time_off_id == time_off_id))


async def of_request(conn: AsyncConnection, request_id: str) -> TimeOff | None:
    """The entry that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(time_off.c.request_id == request_id))


async def page(
    conn: AsyncConnection, only: Filter, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[TimeOff]:
    """Up to `limit` entries by start, after the one named."""
    query = select(*COLUMNS).order_by(time_off.c.starts_at, time_off.c.time_off_id)
    if only.responder_id:
        query = query.where(time_off.c.responder_id == only.responder_id)
    if only.start is not None:
        query = query.where(time_off.c.ends_at > only.start)
    if only.end is not None:
        query = query.where(time_off.c.starts_at < only.end)
    if after is not None:
        query = query.where(tuple_(time_off.c.starts_at, time_off.c.time_off_id) > after)
    return [TimeOff(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def of_people(conn: AsyncConnection, responder_ids: Collection[str]) -> Mapping[str, Sequence[TimeOff]]:
    """The time off of some people, by person."""
    named = any_(literal([*responder_ids], ARRAY(Text)))
    found: dict[str, list[TimeOff]] = defaultdict(list)
    query = select(*COLUMNS).where(time_off.c.responder_id == named).order_by(time_off.c.starts_at)
    for row in await conn.execute(query):
        found[row.responder_id].append(TimeOff(**row._asdict()))
    return found


async def away(conn: AsyncConnection, at: datetime) -> set[str]:
    """Everybody who is on leave at an instant."""
    query = select(time_off.c.responder_id).where(time_off.c.starts_at <= at, time_off.c.ends_at > at)
    return {*(await conn.execute(query)).scalars()}


async def remove(conn: AsyncConnection, time_off_id: UUID) -> bool:
    """Removes an entry; False when there is none."""
    gone = await conn.execute(delete(time_off).where(time_off.c.time_off_id == time_off_id))
    return gone.rowcount == 1


async def touch_schedules(conn: AsyncConnection, responder_id: str, now: datetime) -> None:
    """Notes that every schedule changes by which a person may be on call.

    Whoever calls this holds the person locked, so that no schedule comes to name them meanwhile.
    """
    named = {schedule.schedule_id for schedule in await stored_schedules.naming(conn, responder_id)}
    of_shifts = select(shifts.c.schedule_id).where(shifts.c.responder_id == responder_id)
    of_overrides = select(overrides.c.schedule_id).where(overrides.c.responder_id == responder_id)
    named |= {*(await conn.execute(of_shifts.union(of_overrides))).scalars()}
    for schedule_id in sorted(named):
        await stored_schedules.touch(conn, schedule_id, now)


async def _one(conn: AsyncConnection, query: Select[Any]) -> TimeOff | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else TimeOff(**row._asdict())
