"""The relay is killed, stopped and outlived, and its broker loses what it had acknowledged: nothing is missed."""

import asyncio
import shutil
import signal
import time
from datetime import timedelta

import pytest

from chassis.bus import Bus
from chassis.cloudevents import Message
from chassis.db import Database
from cli.stack.nats import Nats
from tests.fixtures.eventually import BORN, eventually
from tests.service.chassis.actor import STREAM, SUBJECTS, consumer_of, relay_of
from tests.service.chassis.conftest import (
    Heard,
    Spawn,
    all_published,
    back,
    ring,
    running,
    scalar,
    unpublished,
)

WINDOW = timedelta(milliseconds=100)
EFFECTS = "select count(*) from effects"
EACH = "select count(distinct event_id) from effects"


async def forgotten(bus: Bus) -> None:
    """Waits until the broker's window for repeats is over for all that it has: it takes a later one once more."""
    (first,) = await bus.publish([Message("gong", "gong.struck", [], b"")])

    async def again() -> bool:
        return await bus.publish([Message("gong", "gong.struck", [], b"")]) != [first]

    await eventually(again)


@pytest.mark.parametrize("crash", ["relay.before_publish", "relay.after_publish"])
async def test_a_relay_killed_around_publishing(db: Database, bus: Bus, spawn: Spawn, crash: str) -> None:
    await bus.ensure_stream(STREAM, [*SUBJECTS, "gong.>"], duplicate_window=WINDOW)
    heard = Heard(bus)
    await ring(db, "bell", range(50))
    relay = spawn("relay", crash=crash)
    async with running(heard.run(), consumer_of(db, bus).run()):
        assert await asyncio.to_thread(relay.wait, BORN) == -signal.SIGKILL
        assert await unpublished(db) == 50
        if crash == "relay.after_publish":
            await eventually(lambda: len(heard.events) == 50)
            await forgotten(bus)  # from here on the inbox is what counts
        async with running(relay_of(db, bus).run()):
            await all_published(db)
        expected = 100 if crash == "relay.after_publish" else 50
        await eventually(lambda: len(heard.events) == expected)
        assert [int(event.data) for event in heard.events[-50:]] == heard.numbers("bell") == list(range(50))

        async def counted() -> bool:
            return await scalar(db, EACH) == 50

        await eventually(counted)
    assert await scalar(db, EFFECTS) == 50


async def test_a_stopped_leader_is_replaced_and_harmless_when_it_wakes(
    db: Database, bus: Bus, spawn: Spawn
) -> None:
    heard = Heard(bus)
    leader = spawn("relay")
    async with running(heard.run()):
        await ring(db, "bell", range(10))
        await eventually(lambda: len(heard.events) == 10, BORN)
        leader.send_signal(signal.SIGSTOP)
        await ring(db, "bell", range(10, 20))
        began = time.monotonic()
        async with running(relay_of(db, bus).run()):
            await eventually(lambda: len(heard.events) == 20)
            assert time.monotonic() - began < 10, (
                "2 s for the lock, 0.25 s to notice, the rest for slow machines"
            )
            leader.send_signal(signal.SIGCONT)
            for number in range(20, 60):
                await ring(db, "bell", [number])
            await eventually(lambda: len(heard.events) >= 60)
        await ring(db, "bell", range(60, 70))  # the one that was stopped leads again now
        await eventually(lambda: len(heard.events) >= 70)
    assert heard.numbers("bell") == list(range(70))
    assert leader.poll() is None


async def test_a_deleted_stream_is_made_and_filled_again(db: Database, bus: Bus) -> None:
    heard, relay = Heard(bus), relay_of(db, bus)
    async with running(relay.run()):
        await ring(db, "bell", range(1000))
        await all_published(db)
        await bus.ask(f"STREAM.DELETE.{STREAM}", {})
        await ring(db, "bell", range(1000, 1010))
        async with running(heard.run()):
            await eventually(lambda: len(heard.numbers("bell")) == 1010)
    assert heard.numbers("bell") == list(range(1010))


async def test_a_store_put_back_is_filled_up(db: Database, bus: Bus, broker: Nats) -> None:
    store, copy = broker.directory / "store", broker.directory / "copy"
    heard = Heard(bus)
    async with running(relay_of(db, bus).run()):
        await ring(db, "bell", range(100))
        await all_published(db)
        broker.stop()
        shutil.copytree(store, copy)
        await back(broker)
        await ring(db, "bell", range(100, 300))
        await all_published(db)
        broker.stop()
        shutil.rmtree(store)
        copy.rename(store)
        await back(broker)
        async with running(heard.run()):
            await eventually(lambda: len(heard.numbers("bell")) == 300)
    assert heard.numbers("bell") == list(range(300))


@pytest.mark.parametrize("seq", [1, 50, 100], ids=["first", "middle", "last"])
async def test_a_removed_message_comes_back(
    db: Database, bus: Bus, seq: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay.INSPECT", 0.2)
    heard = Heard(bus)
    async with running(relay_of(db, bus).run()):
        await ring(db, "bell", range(100))
        await all_published(db)
        await bus.ask(f"STREAM.MSG.DELETE.{STREAM}", {"seq": seq})
        async with running(heard.run()):
            await eventually(lambda: len(heard.numbers("bell")) == 100)
    assert sorted(heard.numbers("bell")) == list(range(100))
