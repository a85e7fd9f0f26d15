"""The outbox: appended with the rows it tells of, kept in days, and never dropped before it is published."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import MetaData, insert, select, text

from chassis import outbox
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Event
from tests.service.chassis.conftest import ring, scalar

NOW = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = """select relname from pg_class join pg_inherits on oid = inhrelid
    where inhparent = 'outbox'::regclass order by relname"""


def event(number: int, at: datetime = NOW) -> Event:
    return Event("bell.rung", "bell", str(number).encode(), at, trace_parent=f"trace-{number}")


@pytest.fixture
async def db(bell_url: str) -> Database:
    """Without any partition but the default one."""
    database = Database(bell_url, name="bell")
    await database.open()
    return database


async def days(db: Database) -> list[str]:
    async with db.connect() as conn:
        return [name.removeprefix("outbox_") for name in (await conn.execute(text(NAMES))).scalars()]


async def append(db: Database, *events: Event) -> None:
    async with db.begin() as conn:
        await outbox.append(conn, events)


async def test_events_are_read_as_they_were_appended(db: Database) -> None:
    table = outbox.outbox_table(MetaData())
    events = [event(n) for n in range(20)]
    await append(db, *events)
    await append(db)
    async with db.connect() as conn:
        rows = (await conn.execute(select(table).order_by(table.c.seq))).all()
    assert [(r.id, r.type, r.subject, r.data, r.at, r.trace_parent) for r in rows] == [
        (e.id, e.type, e.subject, e.data, e.at, e.trace_parent) for e in events
    ]
    assert {row.published_at for row in rows} == {None}


async def test_an_event_goes_with_its_transaction(db: Database) -> None:
    async with db.begin() as conn:
        await outbox.append(conn, [event(1)])
        assert (await conn.execute(text("select count(*) from outbox"))).scalar_one() == 1
        await conn.rollback()
    assert await scalar(db, "select count(*) from outbox") == 0


async def test_the_columns_suffice_for_a_statement_that_writes_by_itself(db: Database) -> None:
    values = "uuidv7(), 'bell.rung', 'bell', '1', now(), ''"
    async with db.begin() as conn:
        await conn.execute(text(f"insert into outbox ({outbox.COLUMNS}) values ({values})"))
        table = outbox.outbox_table(MetaData())
        await conn.execute(
            insert(table).values(id=event(1).id, type="t", subject="s", data=b"", at=NOW, trace_parent="")
        )
    assert await scalar(db, "select count(*) from outbox") == 2


async def test_coming_days_get_partitions_with_what_is_there_of_them(db: Database) -> None:
    await append(db, event(1), event(2, NOW + DAY), event(3, NOW + 10 * DAY))
    await outbox.maintain(db, now=NOW)
    await outbox.maintain(db, now=NOW)
    assert await days(db) == ["20260301", "20260302", "20260303", "20260304", "default"]
    assert await scalar(db, "select count(*) from outbox_20260301") == 1
    assert await scalar(db, "select count(*) from outbox_default") == 1
    await append(db, event(4, NOW + timedelta(hours=1)))
    assert await scalar(db, "select count(*) from outbox_20260302") == 2
    assert await scalar(db, "select max(seq) - min(seq) from outbox") == 3


async def test_published_days_are_dropped_and_others_never(db: Database) -> None:
    await outbox.maintain(db, now=NOW)
    await append(db, event(1), event(2, NOW + DAY), event(3, NOW - 30 * DAY))
    async with db.begin() as conn:
        await conn.execute(text("update outbox set published_at = now() where data <> '2'"))
    await outbox.maintain(db, now=NOW + 7 * DAY)
    assert (await days(db))[0] == "20260301", "seven days are kept"
    assert await scalar(db, "select count(*) from outbox_default") == 0
    await outbox.maintain(db, now=NOW + 20 * DAY)
    assert (await days(db))[:2] == ["20260302", "20260321"], "what is not published stays"


async def test_replicas_may_maintain_at_the_same_time(db: Database) -> None:
    await append(db, event(1))
    await asyncio.gather(*(outbox.maintain(db, now=NOW) for _ in range(4)))
    await asyncio.gather(*(outbox.maintain(db, now=NOW + 20 * DAY) for _ in range(4)))
    assert (await days(db))[:2] == ["20260301", "20260321"]


async def test_a_long_reader_is_not_waited_for(db: Database) -> None:
    await outbox.maintain(db, now=NOW)
    async with db.begin() as reader:
        await reader.execute(text("select count(*) from outbox"))
        with pytest.raises(Unavailable):
            await outbox.maintain(db, now=NOW + 20 * DAY)
        await ring(db, "bell", [1])
    await outbox.maintain(db, now=NOW + 20 * DAY)
    assert (await days(db))[0] == "20260321"


async def test_the_inbox_forgets_after_eight_days(db: Database) -> None:
    async with db.begin() as conn:
        await conn.execute(
            text(
                """insert into inbox (consumer, event_id, seen_at)
                select 'ear', uuidv7(), timestamptz '2026-03-01 00:00+00' - interval '1 hour' * n
                from generate_series(0, 24 * 1000) n"""
            )
        )
    await outbox.maintain(db, now=datetime(2026, 3, 1, tzinfo=UTC))
    assert await scalar(db, "select count(*) from inbox") == 8 * 24 + 1
