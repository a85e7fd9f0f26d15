"""Forgets what can matter no more."""

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.tables.alerts import bursts, unreached

BURSTS = timedelta(days=1)
"""The longest window of a repeat trigger."""
UNREACHED = timedelta(days=8)
"""Longer than an alert waits for one step."""


async def forget(conn: AsyncConnection, now: datetime) -> None:
    """Deletes triggers that no window holds, and people out of reach of steps that are long over."""
    await conn.execute(delete(bursts).where(bursts.c.at < now - BURSTS))
    await conn.execute(delete(unreached).where(unreached.c.at < now - UNREACHED))
