"""The relay loses nothing and keeps the order, with many writers, without its broker, and against itself."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from chassis.bus import Bus
from chassis.cloudevents import Message
from chassis.db import Database
from chassis.outbox import COLUMNS
from cli.stack.nats import Nats
from tests.fixtures.eventually import eventually
from tests.service.chassis.actor import STREAM, relay_of
from tests.service.chassis.conftest import Heard, all_published, back, ring, running, unpublished

LATE = "(uuidv7(), 'bell.rung', 'slow', '1', now(), '')"


async def test_an_event_arrives_as_a_cloud_event(db: Database, bus: Bus) -> None:
    heard = Heard(bus)
    [event_id] = await ring(db, 'Big "Ben" 100% ☎', [1])
    async with running(relay_of(db, bus).run(), heard.run()):
        await eventually(lambda: heard.events)
    [event] = heard.events
    assert (event.id, event.type, event.subject, event.data) == (
        event_id,
        "bell.rung",
        'Big "Ben" 100% ☎',
        b"1",
    )
    headers = dict(event.headers)
    assert headers.pop("ce-time").endswith("Z")
    assert headers == {
        "Nats-Msg-Id": str(event_id),
        "ce-specversion": "1.0",
        "ce-id": str(event_id),
        "ce-source": "/tocsin/bell",
        "ce-type": "bell.rung",
        "ce-subject": 'Big "Ben" 100% ☎',
        "ce-datacontenttype": "application/protobuf",
    }


async def test_sixteen_writers_lose_nothing_and_each_bell_keeps_its_order(db: Database, bus: Bus) -> None:
    relay, heard = relay_of(db, bus), Heard(bus)

    async def writer(bell: str) -> None:
        for number in range(0, 60, 3):
            await ring(db, bell, range(number, number + 3))
            relay.wake()

    async with running(relay.run(), heard.run()):
        await asyncio.gather(*(writer(f"bell-{n}") for n in range(16)))
        await eventually(lambda: len(heard.events) >= 16 * 60)

        async def marked() -> bool:
            return await unpublished(db) == 0

        await eventually(marked)  # a window is marked while the next one is under way
    for n in range(16):
        assert heard.numbers(f"bell-{n}") == list(range(60))


async def test_what_commits_late_is_published_too(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay.INSPECT", 0.01)
    relay, heard = relay_of(db, bus), Heard(bus)
    async with running(relay.run(), heard.run()), db.begin() as slow:
        await slow.execute(text(f"insert into outbox ({COLUMNS}) values {LATE}"))
        for number in range(10):
            await ring(db, "quick", [number])
            relay.wake()
            await eventually(lambda: len(heard.numbers("quick")) > number)  # noqa: B023  # awaited here
        monkeypatch.setattr("chassis.relay.INSPECT", 3600)
        await slow.commit()
        await eventually(lambda: heard.numbers("slow") == [1])
        monkeypatch.setattr("chassis.relay.INSPECT", 0.01)
        await eventually(lambda: relay._floor == 11)  # what is done with is read past no more


async def test_what_is_unpublished_by_hand_is_published_again(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.relay.INSPECT", 0.01)
    relay = relay_of(db, bus)
    async with running(relay.run()):
        await ring(db, "bell", range(10))
        await eventually(lambda: relay._floor == 10)
        async with db.begin() as conn:
            await conn.execute(text("update outbox set published_at = null where seq = 3"))
        await all_published(db)


async def test_a_wake_publishes_at_once(db: Database, bus: Bus) -> None:
    """And not at the next poll."""
    relay, heard = relay_of(db, bus), Heard(bus)
    async with running(relay.run(), heard.run()):
        await ring(db, "first", [0])
        await eventually(lambda: heard.events)
        relay._loop._poll = timedelta(minutes=1)
        for number in range(5):
            await ring(db, "bell", [number])
            relay.wake()
            await eventually(lambda: len(heard.numbers("bell")) > number)  # noqa: B023  # awaited here


async def test_the_outbox_holds_while_the_broker_is_away(db: Database, bus: Bus, broker: Nats) -> None:
    relay, heard = relay_of(db, bus), Heard(bus)
    async with running(relay.run(), heard.run()):
        await ring(db, "bell", range(10))
        await eventually(lambda: len(heard.events) == 10)
        await all_published(db)
        broker.child.kill()
        for number in range(10, 40):
            await ring(db, "bell", [number])
            relay.wake()
        assert await unpublished(db) == 30
        await back(broker)
        await eventually(lambda: heard.numbers("bell") == list(range(40)))


async def test_a_message_that_fails_in_the_middle_is_overtaken_by_none(db: Database, bus: Bus) -> None:
    heard = Heard(bus)
    await ring(db, "bell", range(3))
    await ring(db, "bell", [3], kind="nowhere.rung")
    await ring(db, "bell", range(4, 7))
    async with running(relay_of(db, bus).run(), heard.run()):

        async def four() -> bool:
            return await unpublished(db) == 4

        await eventually(four)
        await eventually(lambda: heard.numbers("bell") == [0, 1, 2])
        await bus.ensure_stream(STREAM, ["bell.>", "nowhere.>"])
        await all_published(db)
        await eventually(lambda: heard.numbers("bell") == [0, 1, 2, 4, 5, 6])
    last = await bus.stream_state(STREAM)
    assert last.last_seq == 7, "nothing is there twice"


async def test_of_a_window_only_what_is_acknowledged_from_the_front_counts(bus: Bus) -> None:
    def message(name: str, after: str) -> Message:
        return Message(name, "bell.rung", [f"Nats-Expected-Last-Msg-Id: {after}"] if after else [], b"")

    assert await bus.publish([message("a", ""), message("b", "a"), message("c", "b")]) == [1, 2, 3]
    assert await bus.publish([message("d", "c"), message("f", "e"), message("g", "f")]) == [4]
    assert await bus.publish([message("d", ""), message("e", "d")]) == [4, 5]
    assert await bus.publish([message("c", ""), message("h", "c"), message("e", "h")]) == [3], "h is not at 4"


async def test_a_session_that_is_ended_comes_back(db: Database, bus: Bus) -> None:
    relay, heard = relay_of(db, bus), Heard(bus)
    async with running(relay.run(), heard.run()):
        for round_ in range(3):
            await ring(db, "bell", [round_])
            await eventually(lambda: heard.numbers("bell") == list(range(round_ + 1)))  # noqa: B023
            async with db.connect() as conn:
                query = (
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ 'relay$'"
                )
                assert True in (await conn.execute(text(query))).scalars().all(), (
                    "the last one may be going yet"
                )
