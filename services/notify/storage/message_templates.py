"""Templates of messages: those that somebody has changed."""

from collections.abc import Mapping
from dataclasses import asdict

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.contact_method import Channel
from services.notify.domain.wording import Template
from services.notify.tables import message_templates


async def every(conn: AsyncConnection, *, lock: bool = False) -> Mapping[Channel, Template]:
    """All of them, by channel; locked against other changes when asked to."""
    query = select(message_templates)
    rows = await conn.execute(query.with_for_update() if lock else query)
    return {row.channel: Template(**row._asdict()) for row in rows}


async def put(conn: AsyncConnection, template: Template) -> None:
    """Writes the template of a channel."""
    values = asdict(template)
    await conn.execute(
        upsert(message_templates)
        .values(values)
        .on_conflict_do_update(index_elements=["channel"], set_=values)
    )


async def remove(conn: AsyncConnection, channel: Channel) -> None:
    """Forgets the template of a channel."""
    await conn.execute(delete(message_templates).where(message_templates.c.channel == channel))
