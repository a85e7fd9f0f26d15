"""The bus works without a broker, says what the broker denies, and comes back by itself."""

import asyncio
import os
import signal
import time

import pytest
from prometheus_client import REGISTRY

from chassis.bus import Bus
from chassis.cloudevents import Message
from chassis.db import Database
from chassis.errors import Unavailable
from cli.stack.nats import Nats
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.chassis.actor import STREAM, SUBJECTS
from tests.service.chassis.conftest import Heard, back, running


def errors(reason: str) -> float:
    return REGISTRY.get_sample_value("tocsin_bus_errors_total", {"reason": reason}) or 0


def message(name: str, subject: str = "bell.rung") -> Message:
    return Message(name, subject, [f"ce-id: {name}"], b"1")


@pytest.fixture
def no_answer(monkeypatch: pytest.MonkeyPatch) -> float:
    """Seconds after which an answer is not waited for any more; nothing at once takes a good part of them."""
    seconds = 2 * PATIENCE
    monkeypatch.setattr("chassis.bus.ANSWER", seconds)
    return seconds


async def test_a_denied_publish_is_seen_at_once(broker: Nats, no_answer: float) -> None:
    bus = Bus(broker.url("roster"), name="roster")
    await bus.connect()
    await eventually(lambda: bus.connected)
    before, began = errors("DENIED"), time.monotonic()
    assert await bus.publish([message("a", "alert.opened")]) == []
    assert time.monotonic() - began < no_answer / 2
    assert errors("DENIED") == before + 1
    await bus.close()


async def test_nothing_fails_while_the_broker_is_away(broker: Nats) -> None:
    broker.stop()
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    assert not bus.connected
    await bus.ensure_stream(STREAM, SUBJECTS)
    assert await bus.publish([message("a")]) == []
    with pytest.raises(Unavailable):
        await bus.stream_state(STREAM)
    heard = Heard(bus)
    async with running(heard.run()):
        await back(broker)
        await eventually(lambda: bus.connected)

        async def published() -> list[int]:
            return await bus.publish([message("a")])

        assert await eventually(published) == [1]
        await eventually(lambda: heard.events)
    await bus.close()


async def test_a_refused_password_is_tried_again(broker: Nats) -> None:
    bus = Bus(broker.url().replace(":tocsin-", ":wrong-"), name="tocsin")
    await bus.connect()
    assert not bus.connected
    bus._url = broker.url()
    await bus.close()
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    passwords, broker._passwords["tocsin"] = dict(broker._passwords), "changed"
    broker.stop()
    broker.prepare()
    await back(broker)
    await eventually(lambda: not bus.connected)
    broker._passwords.update(passwords)
    broker.stop()
    broker.prepare()
    await back(broker)
    await eventually(lambda: bus.connected)
    await bus.close()


async def test_a_question_ends_with_the_broker(bus: Bus, broker: Nats, no_answer: float) -> None:
    assert broker.child.pid is not None
    os.kill(broker.child.pid, signal.SIGSTOP)
    asked = asyncio.create_task(bus.stream_state(STREAM))
    await asyncio.sleep(0)  # it is on its way
    began = time.monotonic()
    broker.child.kill()
    with pytest.raises(Unavailable):
        await asked
    assert time.monotonic() - began < no_answer / 2
    await back(broker)


async def test_consumers_survive_five_kills(bus: Bus, broker: Nats, db: Database) -> None:
    heard = Heard(bus)
    async with running(heard.run()):
        for round_ in range(5):
            broker.child.kill()
            await back(broker)
            await eventually(lambda: bus.connected)

            async def published(name: str = f"m{round_}") -> list[int]:
                return await bus.publish([message(name)])

            await eventually(published)
            await eventually(lambda: len({e.headers["Nats-Msg-Id"] for e in heard.events}) > round_)  # noqa: B023


async def test_a_changed_stream_is_updated(bus: Bus) -> None:
    await bus.ensure_stream(STREAM, [*SUBJECTS, "gong.>"])
    assert await bus.publish([message("a", "gong.struck")]) == [1]


async def test_publishing_lets_others_run(bus: Bus) -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with running(others()):
        assert len(await bus.publish([message(f"m{n}") for n in range(512)])) == 512
        assert turns >= 8
