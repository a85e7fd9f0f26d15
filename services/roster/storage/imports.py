"""Imported shifts in the database: many at once, found again by the request ids that their events make."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice
from uuid import UUID

from sqlalchemy import Text, any_, delete, literal, select
from sqlalchemy import Uuid as UuidType
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.shift import Shift
from services.roster.storage.shifts import COLUMNS
from services.roster.tables import responders, shifts

AT_ONCE = 1_000
"""Rows of one statement."""


async def of_requests(conn: AsyncConnection, request_ids: Collection[str]) -> dict[str, Shift]:
    """The shifts that these requests made before, by request id."""
    named = any_(literal([*request_ids], ARRAY(Text)))
    found = await conn.execute(select(shifts.c.request_id, *COLUMNS).where(shifts.c.request_id == named))
    rows = [row._asdict() for row in found]
    return {row.pop("request_id"): Shift(**row) for row in rows}


async def add(conn: AsyncConnection, made: Mapping[str, Shift]) -> set[UUID]:
    """Adds shifts by their request ids; the answer is the ids of those that overlap no other of their person."""
    added: set[UUID] = set()
    for part in _parts([asdict(shift) | {"request_id": name} for name, shift in made.items()]):
        statement = insert(shifts).values(part).on_conflict_do_nothing().returning(shifts.c.shift_id)
        added.update((await conn.execute(statement)).scalars())
    return added


async def remove(conn: AsyncConnection, shift_ids: Collection[UUID]) -> None:
    """Removes shifts."""
    named = any_(literal([*shift_ids], ARRAY(UuidType)))
    await conn.execute(delete(shifts).where(shifts.c.shift_id == named))


async def names(conn: AsyncConnection, responder_ids: Collection[str]) -> dict[str, str]:
    """The names of people, by id."""
    named = any_(literal([*responder_ids], ARRAY(Text)))
    query = select(responders.c.responder_id, responders.c.display_name)
    found = await conn.execute(query.where(responders.c.responder_id == named))
    return {row.responder_id: row.display_name for row in found}


def _parts(rows: Sequence[dict[str, object]]) -> Iterator[list[dict[str, object]]]:
    left = iter(rows)
    while part := list(islice(left, AT_ONCE)):
        yield part
