"""Storage of the codes that confirm addresses."""

from dataclasses import asdict

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.verification import Verification
from services.notify.tables import verifications


async def get(conn: AsyncConnection, contact_method_id: str) -> Verification | None:
    """The last code of a method; the method's row is the lock."""
    query = select(verifications).where(verifications.c.contact_method_id == contact_method_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Verification(**row._asdict())


async def put(conn: AsyncConnection, one: Verification) -> None:
    """Writes the state of a method's code."""
    statement = upsert(verifications).values(asdict(one))
    await conn.execute(
        statement.on_conflict_do_update(index_elements=["contact_method_id"], set_=asdict(one))
    )


async def remove(conn: AsyncConnection, contact_method_id: str) -> None:
    """Forgets a method's code: it was said, or its address is another now."""
    await conn.execute(delete(verifications).where(verifications.c.contact_method_id == contact_method_id))
