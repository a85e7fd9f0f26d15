"""A schema `bell` with an outbox and an inbox, a bus, and what tests of messaging do with them."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from chassis import migrate, outbox
from chassis.bus import Bus, Received
from chassis.db import Database
from chassis.outbox import Event
from chassis.process import _stop
from cli.stack.nats import Nats
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.chassis import actor
from tests.service.chassis.actor import STREAM, SUBJECTS

PASSWORD = "only-for-tests"
ROOT = Path(__file__).parents[3]
Spawn = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def bell_url(empty_database: TestDatabase) -> str:
    """The address of a role whose schema has what messaging needs, and a table of effects."""
    migrate.prepare(empty_database.admin, {"bell": migrate.Role("tocsin_bell", PASSWORD)})
    url = make_url(empty_database.admin).set(username="tocsin_bell", password=PASSWORD)
    address = url.render_as_string(hide_password=False)
    with psycopg.connect(address) as conn:
        for statement in [*outbox.create_statements(), "create table effects (event_id uuid not null)"]:
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
    await eventually(lambda: bus.connected)
    await bus.ensure_stream(STREAM, SUBJECTS)
    yield bus
    await bus.close()


@pytest.fixture
def spawn(bell_url: str, broker: Nats) -> Iterator[Spawn]:
    """Starts an actor as a process, with a crash point if one is named; whatever is left is killed at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start(kind: str, *, crash: str = "") -> subprocess.Popen[bytes]:
        environment = {**os.environ, "TOCSIN_CRASH": crash, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
        command = [sys.executable, "-m", actor.__name__, kind, bell_url, broker.url()]
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@asynccontextmanager
async def running(*loops: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Runs loops beside the block; one that fails fails the test."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        yield
    finally:
        await _stop(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()


async def ring(db: Database, bell: str, numbers: Sequence[int], *, kind: str = "bell.rung") -> list[UUID]:
    """Appends events of one bell, one for each number, in one transaction; their ids."""
    events = [Event(kind, bell, str(number).encode(), datetime.now(UTC)) for number in numbers]
    async with db.begin() as conn:
        await outbox.append(conn, events)
    return [event.id for event in events]


async def scalar(db: Database, query: str) -> int:
    """The one number that a query answers."""
    async with db.connect() as conn:
        return int((await conn.execute(text(query))).scalar_one())


async def unpublished(db: Database) -> int:
    """How many events the outbox still holds back."""
    return await scalar(db, "select count(*) from outbox where published_at is null")


async def all_published(db: Database) -> None:
    """Waits until the outbox holds nothing back."""

    async def none() -> bool:
        return await unpublished(db) == 0

    await eventually(none)


async def back(broker: Nats) -> None:
    """Starts a broker that was stopped or killed, and waits until it is healthy."""
    broker.spawn()
    await eventually(broker.ready)


class Heard:
    """Takes what a durable consumer gets, every delivery of it, in order."""

    def __init__(self, bus: Bus) -> None:
        self.events: list[Received] = []
        self._bus = bus

    async def run(self) -> None:
        await self._bus.consume(stream=STREAM, durable="listener", subjects=["bell.>"], handle=self._hear)

    async def _hear(self, batch: Sequence[Received]) -> None:
        self.events += batch

    def numbers(self, bell: str) -> list[int]:
        """The numbers heard of one bell, in the order of their first arrival: repeats by ce-id do not count."""
        first = {event.id: int(event.data) for event in self.events if event.subject == bell}
        return list(first.values())
