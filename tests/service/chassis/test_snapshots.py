"""A snapshot is fresh within a poll, at once when woken, shared by its callers, and outlives failures."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.db import Database
from chassis.errors import NotFound, Unavailable
from chassis.snapshot import Snapshot
from tests.fixtures.eventually import eventually
from tests.service.chassis.conftest import running

LONG = timedelta(hours=1)


class Source:
    """Loads the number of effects; counts how often, and holds a load back while `gate` is closed."""

    def __init__(self) -> None:
        self.loads = self.probes = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    async def load(self, conn: AsyncConnection) -> int:
        number = int((await conn.execute(text("select count(*) from effects"))).scalar_one())
        self.loads += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return number

    async def version(self, conn: AsyncConnection) -> object:
        self.probes += 1
        return (await conn.execute(text("select max(event_id::text) from effects"))).scalar_one()


async def add(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(text("insert into effects values (uuidv7())"))


async def test_there_is_no_value_before_the_first_load(db: Database) -> None:
    snapshot = Snapshot("effects", Source().load, db)
    with pytest.raises(Unavailable) as caught:
        _ = snapshot.value
    assert caught.value.reason == "NOT_LOADED"
    await snapshot.refresh()
    assert snapshot.value == 0


async def test_it_polls_and_it_wakes(db: Database) -> None:
    polled = Snapshot("polled", Source().load, db, poll=timedelta(milliseconds=50))
    woken = Snapshot("woken", Source().load, db, poll=LONG)
    async with running(polled.run(), woken.run()):
        await woken.refresh()
        await polled.refresh()
        await add(db)
        await eventually(lambda: polled.value == 1)
        assert woken.value == 0
        woken.wake()
        await eventually(lambda: woken.value == 1)


async def test_callers_share_a_load_that_started_after_they_asked(db: Database) -> None:
    source = Source()
    snapshot = Snapshot("effects", source.load, db)
    source.gate.clear()
    first = asyncio.create_task(snapshot.refresh())
    await eventually(lambda: source.loads == 1)
    await add(db)
    others = [asyncio.create_task(snapshot.refresh()) for _ in range(10)]
    source.gate.set()
    await first
    assert snapshot.value == 0
    await asyncio.gather(*others)
    assert snapshot.value == 1
    assert source.loads == 2


async def test_only_a_changed_version_is_loaded(db: Database) -> None:
    source = Source()
    snapshot = Snapshot("effects", source.load, db, poll=timedelta(milliseconds=20), version=source.version)
    async with running(snapshot.run()):
        await eventually(lambda: source.probes >= 5)
        assert source.loads == 1
        await add(db)
        await eventually(lambda: snapshot.value == 1)
        assert source.loads == 2


async def test_a_failed_load_keeps_the_value_and_is_tried_again(db: Database) -> None:
    source = Source()
    snapshot = Snapshot("effects", source.load, db, poll=timedelta(milliseconds=50))
    await snapshot.refresh()
    await add(db)
    source.error = NotFound("no effects")
    with pytest.raises(NotFound):
        await snapshot.refresh()
    async with running(snapshot.run()):
        await eventually(lambda: source.loads >= 4)
        assert snapshot.value == 0
        source.error = None
        await eventually(lambda: snapshot.value == 1)


async def test_ended_sessions_do_not_end_it(db: Database, bell_url: str) -> None:
    source = Source()
    snapshot = Snapshot("effects", source.load, db, poll=timedelta(milliseconds=50))
    async with running(snapshot.run()):
        await snapshot.refresh()
        with psycopg.connect(bell_url, autocommit=True) as conn:
            conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tocsin-bell'"
            )
            conn.execute("insert into effects values (uuidv7())")
        await eventually(lambda: snapshot.value == 1)
