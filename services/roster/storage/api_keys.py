"""API keys in the database; every change takes its number first, so that replicas notice it."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, any_, delete, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.api_key import ApiKey
from services.roster.tables import api_key_changes, api_keys

COLUMNS = [api_keys.c[field.name] for field in fields(ApiKey)]


async def begin_change(conn: AsyncConnection) -> None:
    """Must come first in a transaction that creates or deletes keys; one such transaction runs at a time."""
    await conn.execute(update(api_key_changes).values(number=api_key_changes.c.number + 1))


async def version(conn: AsyncConnection) -> int:
    """A number that differs after every change of which keys there are."""
    return int((await conn.execute(select(api_key_changes.c.number))).scalar_one())


async def every(conn: AsyncConnection) -> Sequence[ApiKey]:
    """All keys."""
    return [ApiKey(**row._asdict()) for row in await conn.execute(select(*COLUMNS))]


async def add(conn: AsyncConnection, key: ApiKey, request_id: str) -> bool:
    """Adds a key; False when the id is taken."""
    values = asdict(key) | {"request_id": request_id or None}
    added = await conn.execute(
        insert(api_keys).values(values).on_conflict_do_nothing().returning(api_keys.c.api_key_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, api_key_id: str) -> ApiKey | None:
    """One key; None when there is none."""
    return await _one(conn, select(*COLUMNS).where(api_keys.c.api_key_id == api_key_id))


async def of_request(conn: AsyncConnection, request_id: str) -> ApiKey | None:
    """The key that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(api_keys.c.request_id == request_id))


async def page(conn: AsyncConnection, subject: str, after: str, limit: int) -> Sequence[ApiKey]:
    """Up to `limit` keys by id, after the one named; those of a subject when one is named."""
    query = select(*COLUMNS).where(api_keys.c.api_key_id > after).order_by(api_keys.c.api_key_id)
    if subject:
        query = query.where(api_keys.c.subject == subject)
    return [ApiKey(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def remove(conn: AsyncConnection, api_key_id: str) -> bool:
    """Removes a key; False when there is none."""
    gone = await conn.execute(delete(api_keys).where(api_keys.c.api_key_id == api_key_id))
    return gone.rowcount == 1


async def used(conn: AsyncConnection, api_key_ids: Collection[str], now: datetime) -> None:
    """Notes that keys are used."""
    named = any_(literal(sorted(api_key_ids), ARRAY(Text)))
    await conn.execute(update(api_keys).where(api_keys.c.api_key_id == named).values(last_used_at=now))


async def _one(conn: AsyncConnection, query: Select[Any]) -> ApiKey | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else ApiKey(**row._asdict())
