"""Streams that are lost or put back are noticed by who consumes them, and their events come again from the outbox."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from chassis import outbox
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.outbox import Event
from chassis.relay import Relay
from cli.stack.nats import Nats
from messaging import letters
from messaging.epochs import MARGIN, Epochs
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.chassis.conftest import running

STREAM = "TOCSIN_ALERT"


@pytest.fixture
async def owner(database: TestDatabase) -> AsyncIterator[Database]:
    """The schema of the owner of the events."""
    db = Database(database.url("escalation"), name="escalation")
    await db.open()
    await outbox.maintain(db, now=datetime.now(UTC))
    yield db
    await db.close()


@pytest.fixture
async def consumer(database: TestDatabase) -> AsyncIterator[Database]:
    """The schema of a service that consumes them."""
    db = Database(database.url("sla"), name="sla")
    await db.open()
    yield db
    await db.close()


@pytest.fixture
async def bus(broker: Nats) -> AsyncIterator[Bus]:
    """The administrator's."""
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    await eventually(lambda: bus.connected)
    await bus.ensure_stream(STREAM, ["alert.>"])
    yield bus
    await bus.close()


class Listening:
    """A durable consumer that counts each event once."""

    def __init__(self, bus: Bus, stream: str = STREAM, subjects: str = "alert.>") -> None:
        self.seen: dict[str, int] = {}
        self._bus = bus
        self._stream, self._subjects = stream, subjects

    async def run(self) -> None:
        await self._bus.consume(
            stream=self._stream, durable="sla", subjects=[self._subjects], handle=self._hear
        )

    async def _hear(self, batch: object) -> None:
        for event in batch:  # type: ignore[attr-defined]
            self.seen[event.subject] = self.seen.get(event.subject, 0) + 1


async def happen(db: Database, *numbers: int) -> None:
    """Events in the owner's outbox."""
    events = [Event("alert.opened", str(number), b"x", datetime.now(UTC)) for number in numbers]
    async with db.begin() as conn:
        await outbox.append(conn, events)


async def test_a_stream_made_anew_is_healed(owner: Database, consumer: Database, bus: Bus) -> None:
    """Although its owner takes all of it for published: nothing is missing, and it is healed once."""
    clock, listening = Clock(), Listening(bus)
    relay = Relay(owner, bus, stream=STREAM, source="/tocsin/escalation")
    asked: list[datetime] = []

    async def replay(since: datetime) -> int:
        asked.append(since)
        async with owner.begin() as conn:
            number = await letters.publish_again(conn, start=since, end=None, types=())
        relay.wake()
        return number

    epochs = Epochs(db=consumer, bus=bus, clock=clock, durable="sla", owners={STREAM: replay})

    async def looked() -> bool:
        try:
            await epochs.look_at(STREAM)
        except Unavailable:
            return False
        return True

    async with running(listening.run(), relay.run()):
        await happen(owner, 1, 2)
        await eventually(lambda: len(listening.seen) == 2)
        await eventually(looked)
        assert asked == []
    # The stream is lost with two events that nobody has consumed, while the owner has them marked as published.
    await happen(owner, 3, 4)
    async with owner.begin() as conn:
        await conn.exec_driver_sql(
            "update outbox set published_at = now(), stream_seq = 1 where subject > '2'"
        )
    await bus.ask(f"STREAM.DELETE.{STREAM}", {})
    await bus.ensure_stream(STREAM, ["alert.>"])
    listening = Listening(bus)
    async with running(listening.run(), relay.run()):
        await happen(owner, 5)
        await eventually(lambda: "5" in listening.seen)
        await eventually(looked)
        await eventually(lambda: {"3", "4"} <= set(listening.seen), timeout=30)
        assert len(asked) == 1
        assert timedelta() <= clock.now() - MARGIN - asked[0] < timedelta(seconds=60)
        await eventually(looked)
        assert len(asked) == 1


async def test_an_owner_that_is_away_is_asked_again(consumer: Database, bus: Bus) -> None:
    """And what was missing is not forgotten meanwhile."""
    answers: list[object] = [Unavailable("away"), 0]

    async def replay(since: datetime) -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return 0

    epochs = Epochs(db=consumer, bus=bus, clock=Clock(), durable="sla", owners={STREAM: replay})
    async with running(Listening(bus).run()):
        await eventually(lambda: _worked(epochs))
        await bus.ask(f"STREAM.DELETE.{STREAM}", {})
        await bus.ensure_stream(STREAM, ["alert.>"])
        await eventually(lambda: _worked(epochs, until=lambda: len(answers) == 1))
        await eventually(lambda: _worked(epochs))
        await asyncio.gather(_worked(epochs), _worked(epochs))
    assert answers == []


async def test_an_owner_that_is_silent_holds_up_no_other_stream(consumer: Database, bus: Bus) -> None:
    """The other is looked at again and again meanwhile, and healed."""
    other = "TOCSIN_NOTIFICATION"
    await bus.ensure_stream(other, ["notification.>"])
    asked: dict[str, int] = {STREAM: 0, other: 0}

    async def silent(_: datetime) -> int:
        asked[STREAM] += 1
        await asyncio.Event().wait()
        return 0

    async def replay(_: datetime) -> int:
        asked[other] += 1
        return 0

    async def lose() -> None:
        for stream, subjects in ((STREAM, "alert.>"), (other, "notification.>")):
            await bus.ask(f"STREAM.DELETE.{stream}", {})
            await bus.ensure_stream(stream, [subjects])

    owners = {STREAM: silent, other: replay}
    epochs = Epochs(db=consumer, bus=bus, clock=Clock(), durable="sla", owners=owners)
    listening = [Listening(bus), Listening(bus, other, "notification.>")]
    async with running(*(one.run() for one in listening), *(loop() for loop in epochs.loops)):
        await eventually(lambda: _known(consumer, 2))
        await lose()
        await eventually(lambda: asked == {STREAM: 1, other: 1}, timeout=30)
        await lose()
        await eventually(lambda: asked == {STREAM: 1, other: 2}, timeout=30)


async def _known(db: Database, streams: int) -> bool:
    """Whether so many streams have been looked at."""
    async with db.connect() as conn:
        return bool((await conn.execute(text("select count(*) from stream_epochs"))).scalar_one() == streams)


async def _worked(epochs: Epochs, until: object = None) -> bool:
    """Whether a look at the streams went well, or came as far as asked."""
    try:
        await epochs.look_at(STREAM)
    except Unavailable:
        return bool(callable(until) and until())
    return True
