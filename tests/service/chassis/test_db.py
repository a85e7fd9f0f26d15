"""Connections come back, whoever leaves at whatever moment."""

import asyncio
import warnings

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SAWarning

from chassis.db import Database

STEPS = 50
"""More turns of the loop than a reader takes."""


async def test_who_leaves_at_any_moment_takes_no_connection_along(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not while it is made ready for reading; and who comes next has a transaction all the same."""
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", -1)  # each step of the driver lets others run

    async def reads() -> None:
        async with db.connect() as conn:
            await conn.execute(text("select 1"))

    await reads()
    with warnings.catch_warnings(record=True) as lost:
        warnings.simplefilter("always", SAWarning)
        for turns in range(STEPS):
            reading = asyncio.create_task(reads())
            for _ in range(turns):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            async with db.begin() as conn:
                one, two = [await conn.scalar(text("select pg_current_xact_id()::text")) for _ in range(2)]
            assert one == two
    assert [str(warning.message) for warning in lost] == []
