"""A schema `bell` with an outbox and an inbox, a bus and what tests of messaging ask of them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from chassis import migrate, outbox
from chassis.bus import Bus, Received
from chassis.db import Database
from chassis.outbox import Event
from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase

STREAM, SUBJECTS = "TOCSIN_BELL", ["bell.>"]
PASSWORD = "only-for-tests"


@pytest.fixture
def bell_url(empty_database: TestDatabase) -> str:
    """The address of a role whose schema has what messaging needs."""
    migrate.prepare(empty_database.admin, {"bell": migrate.Role("tocsin_bell", PASSWORD)})
    url = make_url(empty_database.admin).set(username="tocsin_bell", password=PASSWORD)
    address = url.render_as_string(hide_password=False)
    with psycopg.connect(address) as conn:
        for statement in outbox.create_statements():
            conn.execute(statement.encode())
    return address


@pytest.fixture
async def db(bell_url: str) -> AsyncIterator[Database]:
    database = Database(bell_url, name="bell", size=20)
    await database.open()
    await outbox.maintain(database, now=datetime.now(UTC))
    yield database
    await database.close()


@pytest.fixture
async def bus(broker: Nats) -> AsyncIterator[Bus]:
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    await bus.ensure_stream(STREAM, SUBJECTS)
    yield bus
    await bus.close()


@asynccontextmanager
async def running(*loops: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Runs loops beside the block; one that fails fails the test."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def rung(bell: str, number: int) -> Event:
    """The event number `number` of one bell."""
    return Event(type="bell.rung", subject=bell, data=str(number).encode(), at=datetime.now(UTC))


async def ring(db: Database, bell: str, numbers: Sequence[int]) -> list[UUID]:
    """Appends events of one bell in one transaction; their ids."""
    events = [rung(bell, number) for number in numbers]
    async with db.begin() as conn:
        await outbox.append(conn, events)
    return [event.id for event in events]


async def unpublished(db: Database) -> int:
    """How many events the outbox still holds back."""
    async with db.connect() as conn:
        held = await conn.execute(text("select count(*) from outbox where published_at is null"))
        return int(held.scalar_one())


class Heard:
    """Takes what a durable consumer gets, every delivery of it, in order."""

    def __init__(self, bus: Bus, durable: str = "ear") -> None:
        self.events: list[Received] = []
        self._bus = bus
        self._durable = durable

    async def run(self) -> None:
        await self._bus.consume(stream=STREAM, durable=self._durable, subjects=SUBJECTS, handle=self._hear)

    async def _hear(self, batch: Sequence[Received]) -> None:
        self.events += batch

    def numbers(self, bell: str) -> list[int]:
        """The numbers heard of one bell, in the order of their arrival."""
        return [int(event.data) for event in self.events if event.subject == bell]
