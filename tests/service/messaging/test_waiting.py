"""What its owner cannot publish reaches those who must not wait for the broker, once."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import outbox
from chassis.bus import Bus, Received
from chassis.db import Database
from chassis.inbox import Consumer
from chassis.outbox import Event
from chassis.relay import Relay
from cli.stack.nats import Nats
from messaging import waiting
from messaging.api import MessagingApi
from messaging.waiting import AGAIN, AT_ONCE, Bypass
from tests.fixtures.eventually import PATIENCE, eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.chassis.conftest import running
from tocsin.messaging.v1 import messaging_pb2

STREAM = "TOCSIN_ALERT"
LONG_AGO = timedelta(seconds=30)


@pytest.fixture
async def owner(database: TestDatabase) -> AsyncIterator[Database]:
    """The schema of the owner of the events."""
    db = Database(database.url("escalation"), name="escalation")
    await db.open()
    await outbox.maintain(db, now=datetime.now(UTC))
    yield db
    await db.close()


class Hearing:
    """A consumer of two types, and the bypass around the broker that feeds it."""

    def __init__(self, owner: Database, db: Database, bus: Bus) -> None:
        self.heard: list[str] = []
        self.asked: list[int] = []
        self.consumer = Consumer(
            db=db,
            bus=bus,
            stream=STREAM,
            durable="notify",
            subjects=("alert.acknowledged", "alert.closed"),
            handle=self._hear,
        )
        self._api: Any = MessagingApi(owner, [], lambda: None)
        self.bypass = Bypass(self.consumer, self._fetch)

    async def _fetch(self, request: messaging_pb2.FetchEventsRequest) -> messaging_pb2.FetchEventsResponse:
        self.asked.append(request.after)
        answer: messaging_pb2.FetchEventsResponse = await self._api.FetchEscalationEvents(request, None)
        return answer

    async def _hear(self, _: AsyncConnection, events: Sequence[Received]) -> None:
        self.heard += [event.subject for event in events]


@pytest.fixture
async def hearing(owner: Database, database: TestDatabase, broker: Nats) -> AsyncIterator[Hearing]:
    """Not connected to the broker yet."""
    db = Database(database.url("notify"), name="notify")
    await db.open()
    bus = Bus(broker.url(), name="tocsin")
    yield Hearing(owner, db, bus)
    await bus.close()
    await db.close()


async def happen(db: Database, *subjects: str, kind: str = "alert.closed", ago: timedelta = LONG_AGO) -> None:
    """Events in the owner's outbox."""
    at = datetime.now(UTC) - ago
    async with db.begin() as conn:
        await outbox.append(conn, [Event(kind, subject, b"x", at) for subject in subjects])


async def test_what_waits_is_handled_once_and_in_order(
    owner: Database, hearing: Hearing, broker: Nats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the types that the consumer takes, what has waited for some seconds; also when the broker brings it later."""
    monkeypatch.setattr(waiting, "PATIENCE", timedelta(seconds=PATIENCE))
    assert waiting.PATIENCE < LONG_AGO
    await happen(owner, "a", "b")
    await happen(owner, "of another type", kind="alert.opened")
    await happen(owner, "the broker may still take it", ago=timedelta())
    await hearing.bypass.work()
    await happen(owner, "c", kind="alert.acknowledged")
    await hearing.bypass.work()
    await hearing.bypass.work()
    assert hearing.heard == ["a", "b", "c"]

    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    await bus.ensure_stream(STREAM, ["alert.>"])
    relay = Relay(owner, bus, stream=STREAM, source="/tocsin/escalation")
    await hearing.consumer._bus.connect()
    async with running(relay.run(), hearing.consumer.run()):
        await happen(owner, "d")
        await eventually(lambda: "d" in hearing.heard)
    await bus.close()
    assert hearing.heard == ["a", "b", "c", "the broker may still take it", "d"]
    await hearing.bypass.work()
    assert len(hearing.heard) == 5, "what is published waits no more"


async def test_many_are_fetched_in_pages(owner: Database, hearing: Hearing) -> None:
    """All of them by one look; the next one begins behind them."""
    many = [str(number) for number in range(2 * AT_ONCE + 1)]
    await happen(owner, *many)
    await hearing.bypass.work()
    assert hearing.heard == many
    assert len(hearing.asked) == 3
    await hearing.bypass.work()
    assert hearing.asked[-1] > hearing.asked[-2] > 0


async def test_what_was_committed_late_is_found(owner: Database, hearing: Hearing) -> None:
    """Its place is before one that was handled already: everything is looked through again now and then."""
    async with owner.begin() as slow:
        await outbox.append(slow, [Event("alert.closed", "late", b"x", datetime.now(UTC) - LONG_AGO)])
        await happen(owner, "quick")
        await hearing.bypass.work()
    assert hearing.heard == ["quick"]
    for _ in range(AGAIN):
        await hearing.bypass.work()
    assert hearing.heard == ["quick", "late"]


async def test_what_cannot_be_handled_is_buried(owner: Database, hearing: Hearing) -> None:
    """And holds up nobody behind it."""

    async def choke(_: AsyncConnection, events: Sequence[Received]) -> None:
        if any(event.subject == "poison" for event in events):
            raise ValueError("no")
        hearing.heard += [event.subject for event in events]

    hearing.consumer._handle = choke
    await happen(owner, "a", "poison", "b")
    await hearing.bypass.work()
    assert hearing.heard == ["a", "b"]
    async with hearing.consumer._db.connect() as conn:
        assert (await conn.execute(text("select subject from dead_letters"))).scalars().all() == ["poison"]


def test_the_broker_gets_its_chance() -> None:
    """A look comes after the time that it has."""
    assert timedelta() < waiting.PATIENCE < waiting.POLL
