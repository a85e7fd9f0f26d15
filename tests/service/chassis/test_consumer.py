"""Consumers see each event once in effect, whatever is delivered again, fails or is poison."""

import asyncio
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Bus, Received
from chassis.cloudevents import Message
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.ids import uuid7
from chassis.inbox import Consumer, fresh
from tests.fixtures.eventually import BORN, PATIENCE, eventually
from tests.service.chassis.actor import STREAM, SUBJECTS, consumer_of, count
from tests.service.chassis.conftest import Spawn, running, scalar

GATHER = timedelta(milliseconds=50)
EFFECTS = "select count(*) from effects"


async def tell(bus: Bus, events: Sequence[tuple[UUID, bytes]], *, attempt: int = 0) -> None:
    """Puts events into the stream, past the broker's own check for repeats when `attempt` differs."""
    now = datetime.now(UTC).isoformat()
    messages = [
        Message(
            f"{id_}.{attempt}",
            "bell.rung",
            [f"ce-id: {id_}", "ce-subject: big%20bell", f"ce-time: {now}"],
            data,
        )
        for id_, data in events
    ]
    assert len(await bus.publish(messages)) == len(messages)


def consuming(db: Database, bus: Bus, handle: "Handler", **more: object) -> Consumer:
    return Consumer(db=db, bus=bus, stream=STREAM, durable="ear", subjects=SUBJECTS, handle=handle, **more)  # type: ignore[arg-type]


class Handler:
    """Counts effects; fails for the data that it is told to."""

    def __init__(self, error: Exception | None = None, *, on: bytes = b"bad") -> None:
        self.error = error
        self.on = on
        self.batches: list[list[bytes]] = []
        self.done: list[bytes] = []

    async def __call__(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        batch = [event.data for event in events]
        self.batches.append(batch)
        await count(conn, events)
        if self.error is not None and any(event.data == self.on for event in events):
            raise self.error
        self.done += batch


async def effects(db: Database, expected: int) -> None:
    async def reached() -> bool:
        return await scalar(db, EFFECTS) >= expected

    await eventually(reached)
    assert await scalar(db, EFFECTS) == expected


async def test_a_question_waits_for_what_has_arrived(db: Database, bus: Bus) -> None:
    """Until it is handled, however long batches are apart, and for nothing else."""
    came, go = asyncio.Event(), asyncio.Event()

    async def handle(conn: AsyncConnection, events: Sequence[Received]) -> None:
        came.set()
        await go.wait()
        await count(conn, events)

    async def caught_up() -> int:
        await bus.caught_up(stream=STREAM, durable="ear")
        found: int = await scalar(db, EFFECTS)
        return found

    assert await caught_up() == 0
    consumer = Consumer(
        db=db, bus=bus, stream=STREAM, durable="ear", subjects=SUBJECTS, handle=handle, gather=GATHER
    )
    async with running(consumer.run()):
        await tell(bus, [(uuid7(), b"ok")])
        await asyncio.wait_for(came.wait(), PATIENCE)
        asked = asyncio.create_task(caught_up())
        done, _ = await asyncio.wait({asked}, timeout=0.1)
        assert not done
        go.set()
        assert await asyncio.wait_for(asked, PATIENCE) == 1
        await asyncio.wait_for(caught_up(), PATIENCE)


async def test_repeats_have_no_second_effect(db: Database, bus: Bus) -> None:
    events = [(uuid7(), b"ok") for _ in range(20)]
    heard: list[Received] = []
    async with running(consuming(db, bus, Handler(), after=heard.extend).run()):
        for attempt in range(5):
            await tell(bus, [*events, *events[:3]], attempt=attempt)
        marker = uuid7()
        await tell(bus, [(marker, b"last")])
        await eventually(lambda: heard[-1:] and heard[-1].id == marker)
    assert await scalar(db, EFFECTS) == 21
    assert [event.id for event in heard] == [*(id_ for id_, _ in events), marker]
    assert heard[0].subject == "big bell"


async def test_a_consumer_killed_after_its_commit_gets_the_events_again(
    db: Database, bus: Bus, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.bus.ACK_WAIT", 1)  # seconds until what was not acknowledged comes again
    await tell(bus, [(uuid7(), b"ok") for _ in range(10)])
    killed = spawn("consumer", crash="consumer.after_commit")
    assert await asyncio.to_thread(killed.wait, BORN) == -signal.SIGKILL
    committed = await scalar(db, EFFECTS)
    assert committed > 0
    redelivered: list[int] = []

    async def handle(batch: Sequence[Received]) -> None:
        redelivered.extend(event.redelivered for event in batch)
        await consumer_of(db, bus).take(batch)

    async with running(bus.consume(stream=STREAM, durable="ear", subjects=SUBJECTS, handle=handle)):
        await eventually(lambda: len(redelivered) >= 10, 2 * PATIENCE)
    assert sum(count > 0 for count in redelivered) >= committed, "what was committed came again"
    assert await scalar(db, EFFECTS) == 10


async def test_a_poison_event_is_buried_and_its_neighbours_are_fine(db: Database, bus: Bus) -> None:
    events = [(uuid7(), b"bad" if n in (7, 30) else b"ok") for n in range(50)]
    await tell(bus, events)
    async with running(consuming(db, bus, Handler(ValueError("cannot read\0 it"))).run()):
        await effects(db, 48)
        await tell(bus, events, attempt=2)
        await tell(bus, [(uuid7(), b"ok")])
        await effects(db, 49)
    async with db.connect() as conn:
        letters = (await conn.execute(text("select * from dead_letters order by at"))).all()
    assert [letter.event_id for letter in letters] == [events[7][0], events[30][0]]
    assert (letters[0].consumer, letters[0].data) == (f"ear/{STREAM}", b"bad")
    assert (letters[0].subject, letters[0].error) == ("big bell", "ValueError: cannot read it")
    assert letters[0].headers["ce-id"] == str(events[7][0])


async def test_what_is_no_cloud_event_is_buried_too(db: Database, bus: Bus) -> None:
    async def handle(conn: AsyncConnection, batch: Sequence[Received]) -> None:
        if any("ce-id" not in event.headers for event in batch):
            raise KeyError("ce-id")
        await count(conn, batch)

    await bus.publish([Message("1", "bell.broken", ["ce-subject: %00"], b"\0junk")])
    await tell(bus, [(uuid7(), b"ok")])
    consumer = Consumer(db=db, bus=bus, stream=STREAM, durable="ear", subjects=SUBJECTS, handle=handle)
    async with running(consumer.run()):
        await effects(db, 1)

        async def buried() -> bool:
            return await scalar(db, "select count(*) from dead_letters where type = 'bell.broken'") == 1

        await eventually(buried)


async def test_unavailable_is_never_poison_and_the_order_stays(db: Database, bus: Bus) -> None:
    handler = Handler(Unavailable("the database is away"), on=b"2")
    await tell(bus, [(uuid7(), str(n).encode()) for n in range(5)])
    async with running(consuming(db, bus, handler).run()):
        await eventually(lambda: len(handler.batches) >= 3)
        await tell(bus, [(uuid7(), b"5")])
        assert await scalar(db, EFFECTS) == 0
        handler.error = None
        await effects(db, 6)
    assert handler.done == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert await scalar(db, "select count(*) from dead_letters") == 0


async def test_events_arrive_without_waiting_for_a_batch_to_fill(
    db: Database, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.pull.STANDS", 3 * PATIENCE)  # seconds for which a pull request stands
    heard: list[Received] = []
    async with running(consuming(db, bus, Handler(), after=heard.extend).run()):
        await tell(bus, [(uuid7(), b"first")])
        await eventually(lambda: heard)
        for n in range(5):
            await tell(bus, [(uuid7(), b"next")])
            await eventually(lambda: len(heard) == n + 2)  # noqa: B023  # awaited here


async def test_a_stream_that_is_made_later_is_consumed_from_its_beginning(db: Database, bus: Bus) -> None:
    await bus.ask(f"STREAM.DELETE.{STREAM}", {})
    async with running(consuming(db, bus, Handler()).run()):
        for total in (3, 6):
            await bus.ensure_stream(STREAM, SUBJECTS)
            await tell(bus, [(uuid7(), b"ok") for _ in range(3)])
            await effects(db, total)
            await bus.ask(f"STREAM.DELETE.{STREAM}", {})


async def test_fresh_waits_for_whoever_handles_the_same_event(db: Database) -> None:
    ids = [uuid7() for _ in range(3)]
    async with db.begin() as first:
        assert await fresh(first, "ear", [*ids, ids[0]]) == set(ids)
        async with db.begin() as other:
            assert await fresh(other, "eye", ids) == set(ids), "consumers do not share what they have seen"

        async def second() -> set[UUID]:
            async with db.begin() as conn:
                return await fresh(conn, "ear", list(reversed(ids)))

        waiting = asyncio.create_task(second())
        assert not (await asyncio.wait([waiting], timeout=0.2))[0]
    assert await waiting == set()
