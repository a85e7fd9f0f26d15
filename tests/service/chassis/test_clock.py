"""The database's time, also when an answer takes long."""

import asyncio
from datetime import datetime, timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg

from chassis.clock import LONG, Clock
from chassis.db import Database
from tests.faults.proxy import proxying

HELD = 2.0


async def test_an_answer_that_took_long_is_not_believed(bell_url: str) -> None:
    """As when the process was stopped in the middle: half of the round trip would be off by a second."""
    address = urlsplit(bell_url)
    assert address.port is not None
    async with proxying(address.port) as proxy:
        there = address.netloc.replace(f":{address.port}", f":{proxy.port}")
        db = Database(urlunsplit(address._replace(netloc=there)), name="bell")
        await db.open()
        clock = Clock()
        await clock.sync(db)
        proxy.hold()
        asyncio.get_running_loop().call_later(HELD, proxy.release)
        await clock.sync(db)
        before, now, after = await told(bell_url), clock.now(), await told(bell_url)
        assert before - timedelta(seconds=LONG) < now < after + timedelta(seconds=LONG)
        await db.close()


async def told(url: str) -> datetime:
    """What the database says."""
    async with await psycopg.AsyncConnection.connect(url) as conn:
        row = await (await conn.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    found: datetime = row[0]
    return found
