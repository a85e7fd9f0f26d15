"""Wake-ups reach every replica, share round trips and come back with their connection."""

import asyncio
from collections import Counter

from sqlalchemy import text

from chassis.db import Database
from chassis.wake import Wakeups
from tests.fixtures.eventually import eventually
from tests.service.chassis.conftest import running, scalar

ENDED = "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'listen$'"


async def test_a_notice_reaches_the_callbacks_of_its_channel(db: Database) -> None:
    calls: Counter[str] = Counter()
    here, there = Wakeups(db), Wakeups(db)
    here.on("bell_due", lambda: calls.update(["here"]))
    there.on("bell_due", lambda: calls.update(["there"]))
    there.on("bell_due", lambda: calls.update(["also there"]))
    there.on("bell_Other", lambda: calls.update(["other"]))
    async with running(here.run(), there.run()):
        await eventually(lambda: len(calls) == 4)
        calls.clear()
        await here.notify("bell_due")
        await eventually(lambda: calls == {"here": 1, "there": 1, "also there": 1})
        await there.notify("bell_Other", "bell_due")
        await eventually(lambda: calls["other"] == 1)


async def test_notices_at_the_same_time_share_a_round_trip(db: Database) -> None:
    heard: list[int] = []
    wakeups = Wakeups(db)
    wakeups.on("bell_due", lambda: heard.append(1))
    async with running(wakeups.run()):
        await eventually(lambda: heard)
        heard.clear()
        await asyncio.gather(*(wakeups.notify("bell_due") for _ in range(100)))
        await wakeups.notify("bell_due")
        await eventually(lambda: heard)
        assert len(heard) <= 3


async def test_a_connection_that_is_ended_comes_back_and_calls(db: Database) -> None:
    heard: list[int] = []
    wakeups = Wakeups(db)
    wakeups.on("bell_due", lambda: heard.append(1))
    async with running(wakeups.run()):
        await eventually(lambda: heard)
        for _ in range(3):
            heard.clear()
            async with db.connect() as conn:
                assert True in (await conn.execute(text(ENDED))).scalars().all(), "the last may be going yet"
            await eventually(lambda: heard)
        heard.clear()
        await wakeups.notify("bell_due")
        await eventually(lambda: heard)


async def test_a_notice_without_a_database_does_not_fail(bell_url: str) -> None:
    db = Database(bell_url, name="closed")
    await Wakeups(db).notify("bell_due")


async def test_nothing_stays_open_in_a_transaction(db: Database) -> None:
    await Wakeups(db).notify("bell_due")
    assert (
        await scalar(db, "select count(*) from pg_stat_activity where state like 'idle in transaction%'") == 0
    )
