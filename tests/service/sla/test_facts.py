"""Facts in the database are what the domain's join says, in any order, with repeats, by any number of replicas."""

import random
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import nats.errors
import pytest
from sqlalchemy import select

from chassis.bus import Received
from chassis.db import Database
from services.sla.consumer import record
from services.sla.convert import events as convert
from services.sla.domain.fact import Fact, joined
from services.sla.storage import facts as storage
from services.sla.storage import listing
from services.sla.tables import facts
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.service.sla.world import World
from tests.unit.sla.histories import History, any_history, received

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    """The service's schema, without the service."""
    database_of_sla = Database(database.url("sla"), name="sla")
    await database_of_sla.open()
    yield database_of_sla
    await database_of_sla.close()


async def known(db: Database) -> list[Fact]:
    """The facts as they are stored."""
    async with db.connect() as conn:
        rows = (await conn.execute(select(facts).order_by(facts.c.alert_id))).mappings().all()
    read = listing.read(rows)
    assert [row["timeout_escalated"] for row in rows] == [fact.timeout_escalated for fact in read]
    for name in ("told", "schedules", "responders", "reopenings"):
        assert all(len(row[name]) == len(set(row[name])) for row in rows)
    return read


def shuffled(dice: random.Random, events: Sequence[Received]) -> Iterator[list[Received]]:
    """The events in any order, some of them more than once, in batches of any size."""
    mixed = [*events, *dice.choices(events, k=len(events) // 3)]
    dice.shuffle(mixed)
    while mixed:
        size = dice.randrange(1, 40)
        yield mixed[:size]
        mixed = mixed[size:]


@pytest.mark.parametrize("seed", range(5))
async def test_the_statement_joins_as_the_domain_does(db: Database, seed: int) -> None:
    """Many alerts, each with a history of its own, in an order of no meaning."""
    dice = random.Random(seed)
    events = [event for _ in range(60) for event in any_history(dice).events]
    expected = joined(convert.facts(events))
    for batch in shuffled(dice, events):
        async with db.begin() as conn:
            await record(conn, batch)
    assert await known(db) == expected


async def test_the_service_joins_whatever_arrives(world: World) -> None:
    """Both streams, two replicas, events out of order and repeated: the same facts."""
    await world.replica()
    dice = random.Random(7)
    events = [event for _ in range(40) for event in any_history(dice).events]
    for batch in shuffled(dice, events):
        await world.publish(batch)
    await world.taken(events)
    expected = joined(convert.facts(events))

    async def settled() -> bool:
        return await known(world.db) == expected

    await eventually(settled)


async def test_what_happened_while_it_was_away_is_recorded(world: World) -> None:
    """And what it had taken before is not counted again."""
    history = History().opened().escalated()
    await world.tell(history)
    await world.stop()
    history.acknowledged(MINUTE).closed(2 * MINUTE)
    await world.publish(history.events[2:])
    await world.replica()
    await world.taken(history.events)
    assert await known(world.db) == joined(convert.facts(history.events))


async def test_a_broker_that_restarts_is_waited_for(world: World) -> None:
    """The service goes on by itself with what is published afterwards."""
    history = History().opened()
    await world.tell(history)
    world.broker.child.kill()
    world.broker.start()
    history.acknowledged(MINUTE)

    async def published() -> bool:
        try:
            await world.publish(history.events[1:])
        except nats.errors.Error:
            return False
        return True

    await eventually(published)
    await world.taken(history.events)
    assert (await known(world.db))[0].acked_by == "alice"


async def test_poison_is_buried_and_its_neighbours_counted(world: World) -> None:
    """It can be found in the dead letters, with what was wrong."""
    good = [History().opened() for _ in range(5)]
    poison = received("alert.opened", b"\xff\xff", subject="x")
    await world.publish([good[0].events[0], poison, *(history.events[0] for history in good[1:])])
    await world.taken([event for history in good for event in history.events])
    assert len(await known(world.db)) == 5
    letters = await eventually(lambda: world.rows("select event_id::text || error from dead_letters"))
    assert len(letters) == 1
    assert letters[0].startswith(str(poison.id) + "DecodeError")


async def test_types_to_come_are_passed_over(world: World) -> None:
    """They are taken, and say nothing."""
    event = received("alert.invented", b"\xff", subject="x")
    await world.publish([event])
    await world.taken([event])
    assert await known(world.db) == []
    assert await world.rows("select error from dead_letters") == []


async def test_no_news_is_no_statement(db: Database) -> None:
    """An empty batch changes nothing."""
    async with db.begin() as conn:
        await storage.join(conn, [])
    assert await known(db) == []


async def test_the_own_stream_is_there(world: World) -> None:
    """Consumers of `sla.>` can be made before the first event."""
    info = await world.js.stream_info("TOCSIN_SLA")
    assert info.config.subjects == ["sla.>"]
