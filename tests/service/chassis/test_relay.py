"""The relay loses nothing, keeps the order and survives the loss of its broker, its session and itself."""

import asyncio

from chassis.bus import Bus
from chassis.db import Database
from chassis.relay import Relay
from tests.fixtures.eventually import eventually
from tests.service.chassis.conftest import STREAM, Heard, ring, running, unpublished


def relay_of(db: Database, bus: Bus) -> Relay:
    return Relay(db, bus, stream=STREAM, source="/tocsin/bell")


async def test_an_event_arrives_as_a_cloud_event(db: Database, bus: Bus) -> None:
    relay, heard = relay_of(db, bus), Heard(bus)
    [event_id] = await ring(db, 'Big "Ben" 100%', [1])
    async with running(relay.run(), heard.run()):
        await eventually(lambda: heard.events)
    [event] = heard.events
    assert (event.id, event.type, event.subject, event.data) == (
        event_id,
        "bell.rung",
        'Big "Ben" 100%',
        b"1",
    )
    assert event.headers["Nats-Msg-Id"] == event.headers["ce-id"] == str(event_id)


async def test_sixteen_writers_lose_nothing_and_keep_each_bells_order(db: Database, bus: Bus) -> None:
    relay, heard = relay_of(db, bus), Heard(bus)

    async def writer(bell: str) -> None:
        for number in range(0, 60, 3):
            await ring(db, bell, range(number, number + 3))
            relay.wake()

    async with running(relay.run(), heard.run()):
        await asyncio.gather(*(writer(f"bell-{n}") for n in range(16)))
        await eventually(lambda: len(heard.events) >= 16 * 60)
    for n in range(16):
        assert heard.numbers(f"bell-{n}") == list(range(60))
    assert await unpublished(db) == 0
