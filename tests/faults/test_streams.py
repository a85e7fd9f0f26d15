"""A broker's store that was put back, deleted, or has lost one message, and an owner's database put back (FAULTS 13–15, 35).

The figures say how many events arrived: what is missing is not counted, and what has come twice is counted once.
"""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import nats
import psycopg
import pytest
from nats.aio.client import Client
from nats.js.api import StreamInfo

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up
from tests.system.world import World, rfc3339

EVENTS = 10_000
HEALED = 60.0
"""Seconds in which everything that was lost is there again."""
AT_ONCE = 1_000


async def silenced(world: World) -> None:
    """A rule that keeps every alert of this test quiet: each is one event, and nobody is paged."""
    now = datetime.now(UTC)
    times = {"starts_at": rfc3339(now - timedelta(hours=1)), "ends_at": rfc3339(now + timedelta(hours=1))}
    await world.ok("POST", "/silence-rules", {"matchers": [f'source="{world.mark}"'], **times})


async def happen(world: World, number: int) -> None:
    """So many alerts."""
    for start in range(0, number, AT_ONCE):
        requests = [{"title": "lost?", "source": world.mark}] * min(AT_ONCE, number - start)
        answer = await world.ok("POST", "/alerts:batch", {"requests": requests})
        assert {result["outcome"] for result in answer["results"]} == {"SUPPRESSED"}


async def counted(world: World, number: int) -> None:
    """Waits until the figures are of so many alerts; never of more."""

    async def all_of_them() -> bool:
        found = (await world.ok("GET", f"/sla/overview?source={world.mark}"))["suppressed_alerts"]
        if found > number:
            raise RuntimeError(f"{found} of {number} were counted")
        assert found == number, f"{found} of {number} were counted"
        return True

    await eventually(all_of_them, HEALED)


def rows(up: Up, query: str) -> list[tuple[int, ...]]:
    """What a query finds, asked of the whole database."""
    with psycopg.connect(up.state["postgres"]) as conn:
        return conn.execute(query.encode()).fetchall()


async def published(up: Up) -> None:
    """Waits until the broker has everything."""

    def nothing_waits() -> bool:
        return rows(up, "select count(*) from escalation.outbox where published_at is null") == [(0,)]

    await eventually(nothing_waits, HEALED)


@contextmanager
def stopped(up: Up, *names: str) -> Iterator[None]:
    """Parts of the stack that do nothing for the length of the block, without knowing it."""
    pids = [up.state["pids"][name] for name in names]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def dead(up: Up, name: str) -> Iterator[None]:
    """A part that was killed, and that nobody starts again for the length of the block."""
    with stopped(up, "supervisor"):
        pid = up.state["pids"][name]
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
            os.sched_yield()
        yield


def store_of(up: Up) -> Path:
    """Where the broker keeps its streams."""
    return up.data_dir / "nats" / "store"


@asynccontextmanager
async def broker(up: Up) -> AsyncIterator[Client]:
    """The administrator's connection."""
    client = await nats.connect(up.state["nats"])
    try:
        yield client
    finally:
        await client.close()


async def state_of(up: Up, stream: str) -> StreamInfo:
    """What the broker says of a stream."""
    async with broker(up) as client:
        found: StreamInfo = await client.jetstream().stream_info(stream)
        return found


def found_lost(up: Up) -> float:
    """How many events and streams were found to be lost: by their owner, or by a consumer that no test kills."""
    told = ""
    for name in ("escalation", "notify"):
        with urlopen(up.state["metrics"][name]) as answer:
            told += answer.read().decode()
    samples = r"^tocsin_(?:relay_refilled|streams_lost)_total\{.*\} (\S+)$"
    return sum(map(float, re.findall(samples, told, re.MULTILINE)))


@pytest.fixture
async def noticed(up: Up, world: World) -> AsyncIterator[None]:
    """That something was lost is told, by a metric that an alarm is about."""
    assert world
    watching = {"sla": 2, "notify": 1, "escalation": 2}

    def watched() -> bool:
        return all(
            rows(up, f"select count(*) from {name}.stream_epochs") == [(n,)] for name, n in watching.items()
        )

    await eventually(watched, HEALED)
    before = found_lost(up)
    yield
    await eventually(lambda: found_lost(up) > before, HEALED)


@pytest.mark.usefixtures("noticed")
async def test_a_store_that_was_put_back_is_refilled(up: Up, world: World) -> None:
    """10,000 events that the broker had acknowledged, and nobody had heard of yet."""
    await silenced(world)
    await happen(world, 10)
    await counted(world, 10)
    kept = up.data_dir / "store-before"
    with stopped(up, "nats"):
        shutil.copytree(store_of(up), kept)
    with stopped(up, "sla"):
        await happen(world, EVENTS)
        await published(up)
        with dead(up, "nats"):
            shutil.rmtree(store_of(up))
            shutil.move(kept, store_of(up))
    await counted(world, 10 + EVENTS)


@pytest.mark.usefixtures("noticed")
async def test_a_store_that_was_deleted_is_refilled_under_load(up: Up, world: World) -> None:
    """While alerts go on opening; what had been counted is not counted again."""
    await silenced(world)
    await happen(world, EVENTS // 2)
    await counted(world, EVENTS // 2)

    async def load() -> None:
        for _ in range(50):
            await happen(world, 20)

    loading = asyncio.create_task(load())
    before = (await state_of(up, "TOCSIN_ALERT")).state.last_seq

    async def under_way() -> bool:
        return (await state_of(up, "TOCSIN_ALERT")).state.last_seq > before

    await eventually(under_way)
    with dead(up, "nats"):
        shutil.rmtree(store_of(up))
    await loading
    await happen(world, EVENTS // 2)
    await counted(world, EVENTS + 1000)


@pytest.mark.usefixtures("noticed")
async def test_one_message_that_is_gone_is_published_again(up: Up, world: World) -> None:
    """From the middle of the stream; nobody has it on its way yet."""
    await silenced(world)
    await happen(world, 5)
    await counted(world, 5)
    with dead(up, "sla"):
        await happen(world, 20)
        await published(up)
        last = (await state_of(up, "TOCSIN_ALERT")).state.last_seq
        async with broker(up) as client:
            for seq in (last - 3, last - 11):
                await client.jetstream().delete_msg("TOCSIN_ALERT", seq)
    await counted(world, 25)


TABLES = """select relname from pg_class where relnamespace = 'escalation'::regnamespace and relkind in ('r', 'p')
    and not relispartition and relname <> 'alembic_version'"""
LIFT = "update escalation.alerts set version = version + 1000 where state <> 'CLOSED'"
"""What docs/operations.md says is to be done."""


def put_aside(up: Up) -> None:
    """A copy of all that escalation has."""
    with psycopg.connect(up.state["postgres"]) as conn:
        conn.execute("create schema aside")
        for (name,) in conn.execute(TABLES.encode()).fetchall():
            conn.execute(f"create table aside.{name} as table escalation.{name}".encode())


def put_back(up: Up) -> None:
    """All that escalation has is what it was when it was put aside."""
    with psycopg.connect(up.state["postgres"]) as conn:
        conn.execute("set session_replication_role = replica")
        names = [name for (name,) in conn.execute(TABLES.encode()).fetchall()]
        conn.execute(f"truncate {', '.join(f'escalation.{name}' for name in names)}".encode())
        for name in names:
            conn.execute(f"insert into escalation.{name} overriding system value table aside.{name}".encode())
        conn.execute(LIFT)


async def test_an_owner_whose_database_was_put_back_goes_on(up: Up, world: World) -> None:
    """What happens after it is counted, and paged; what was counted before, and is no more, stays counted once."""
    ada, bob = await world.responder("ada"), await world.responder("bob")
    policy = await world.policy((f"responder://{ada}", 3600), (f"responder://{bob}", 3600))
    alert_id = (await world.trigger(policy_id=policy, source="another"))["alert"]["alert_id"]
    await world.expect_page(ada, alert_id=alert_id, timeout=30)
    await silenced(world)
    await happen(world, 5)
    await counted(world, 5)
    await asyncio.to_thread(put_aside, up)
    await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {})
    settled = f"select settled_version > 0 from notify.alerts where alert_id = '{alert_id}'"
    await eventually(lambda: rows(up, settled) == [(True,)], 30)
    await happen(world, 7)
    await counted(world, 12)
    with dead(up, "escalation"):
        await asyncio.to_thread(put_back, up)

    async def again() -> bool:
        try:
            await happen(world, 3)
        except (AssertionError, aiohttp.ClientError):
            return False
        return True

    await eventually(again, 30)
    await counted(world, 15)
    assert (await world.alert(alert_id))["state"] == "OPEN"
    await world.ok("POST", f"/alerts/{alert_id}:escalate", {})
    await world.expect_page(bob, alert_id=alert_id, timeout=30)
