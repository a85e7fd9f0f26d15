"""Rollups say what the facts say: in any order of events, folded in or not, rebuilt or not."""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from chassis import ids
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from services.sla.consumer import record
from services.sla.convert import events as convert
from services.sla.domain.fact import Fact, joined
from services.sla.domain.figures import Filter, Overview, Statistics, Window
from services.sla.domain.run import Kind, Run, State
from services.sla.engine import Folder, Rebuilder
from services.sla.storage import changes, rebuilding, rollups, runs
from tests.fixtures.eventually import eventually
from tests.fixtures.postgres import TestDatabase
from tests.unit.sla.histories import NOON, any_history
from tests.unit.sla.test_sketch import exact

NOW = NOON + timedelta(days=2)


@pytest.fixture
async def db(database: TestDatabase) -> AsyncIterator[Database]:
    """The service's schema, without the service."""
    database_of_sla = Database(database.url("sla"), name="sla")
    await database_of_sla.open()
    yield database_of_sla
    await database_of_sla.close()


async def told(db: Database, dice: random.Random, number: int, *, folding: bool) -> list[Fact]:
    """The facts of so many alerts, whose events arrived in any order and number."""
    events = [event for _ in range(number) for event in any_history(dice).events]
    mixed = [*events, *dice.choices(events, k=len(events) // 3)]
    dice.shuffle(mixed)
    while mixed:
        size = dice.randrange(1, 60)
        async with db.begin() as conn:
            await record(conn, mixed[:size])
            if folding and dice.random() < 0.3:
                await changes.fold(conn, dice.choice([5, 1000]))
        mixed = mixed[size:]
    return joined(convert.facts(events))


def any_filter(dice: random.Random) -> Filter:
    """At most one of what is rolled up, and severities."""
    one: dict[str, str] = dice.choice(
        [
            {},
            {"policy_id": "db"},
            {"source": dice.choice(["grafana", "a source of a very long name " * 20])},
            {"schedule_id": dice.choice(["db", "web"])},
            {"responder_id": dice.choice(["alice", "bob"])},
        ]
    )
    severities = dice.choice([[], ["CRITICAL"], ["CRITICAL", "LOW"]])
    return Filter(severities=frozenset(severities), **one)  # type: ignore[arg-type]


def any_window(dice: random.Random) -> Window:
    """Now and then a whole number of hours."""
    start = NOON + timedelta(seconds=dice.randrange(-90_000, 90_000))
    end = start + timedelta(seconds=dice.randrange(1, 150_000))
    if dice.random() < 0.3:
        start, end = (at.replace(minute=0, second=0) for at in (start, end + timedelta(hours=1)))
    return Window(start, end)


def counted(facts: list[Fact], window: Window, wanted: Filter) -> list[Fact]:
    """The facts that a filter wants."""
    return [
        fact
        for fact in facts
        if fact.opened_at
        and window.start <= fact.opened_at < window.end
        and (not wanted.severities or fact.severity in wanted.severities)
        and wanted.policy_id in ("", fact.policy_id)
        and wanted.source in ("", fact.source)
        and (not wanted.schedule_id or wanted.schedule_id in fact.schedules)
        and (not wanted.responder_id or wanted.responder_id in fact.responders)
    ]


def assert_figures(found: Overview, facts: list[Fact]) -> None:
    """Counts and means exact, percentiles within one percent."""
    opened = [fact for fact in facts if fact.opened]
    quiet = [fact for fact in facts if not fact.opened]
    waiting = [f for f in opened if f.acked_at is None and f.closed_at is None]
    counts = (
        found.total_alerts, found.acked_alerts, found.closed_alerts, found.timeout_escalated_alerts,
        found.suppressed_alerts, found.noise_suppressed_alerts, found.paged_alerts, found.reopenings,
        found.unacked.alerts,
    )  # fmt: skip
    assert counts == (
        len(opened),
        sum(fact.acked_at is not None for fact in opened),
        sum(fact.closed_at is not None for fact in opened),
        sum(fact.timeout_escalated for fact in opened),
        sum(fact.suppressed for fact in quiet),
        sum(fact.noise_suppressed for fact in quiet),
        sum(fact.first_paged_at is not None for fact in opened),
        sum(len(fact.reopenings) for fact in opened),
        len(waiting),
    )
    assert_times(found.mtta, [seconds(fact, fact.acked_at) for fact in opened])
    assert_times(found.mttr, [seconds(fact, fact.closed_at) for fact in opened])
    assert_times(found.first_page, [seconds(fact, fact.first_paged_at) for fact in opened])
    ages = [(NOW - fact.opened_at).total_seconds() for fact in waiting if fact.opened_at]
    assert found.unacked.avg == (pytest.approx(sum(ages) / len(ages)) if ages else None)


def seconds(fact: Fact, at: datetime | None) -> float | None:
    """From opening to an instant."""
    return None if at is None or fact.opened_at is None else (at - fact.opened_at).total_seconds()


def assert_times(found: Statistics, all_seconds: list[float | None]) -> None:
    """Of what is known."""
    known = [value for value in all_seconds if value is not None]
    if not known:
        assert found == Statistics()
        return
    assert found.avg == pytest.approx(sum(known) / len(known))
    for share, value in ((0.5, found.p50), (0.9, found.p90), (0.99, found.p99)):
        assert value == pytest.approx(exact(known, share), rel=0.01)


async def assert_everything(db: Database, dice: random.Random, facts: list[Fact]) -> None:
    """Many questions, each answered from rollups, and from facts."""
    for _ in range(25):
        windows, wanted = [any_window(dice)], any_filter(dice)
        middle = windows[0].start + (windows[0].end - windows[0].start) / 2
        if dice.random() < 0.3:
            windows = [Window(windows[0].start, middle), Window(middle, windows[0].end)]
        async with db.connect() as conn:
            found = await rollups.figures(conn, windows, wanted, now=NOW, few=dice.choice([-1, 10**6]))
        for window, figures in zip(windows, found, strict=True):
            assert_figures(figures, counted(facts, window, wanted))


async def wrong(db: Database) -> int:
    """How many numbers differ from the facts."""
    async with db.begin() as conn:
        number, _ = await rebuilding.differences(conn, await everything(db))
    return number


async def everything(db: Database) -> Window:
    """The blocks that there are."""
    async with db.connect() as conn:
        span = await rebuilding.span(conn)
    assert span is not None
    return span


@pytest.mark.parametrize("seed", range(4))
async def test_brute_force_says_the_same(db: Database, seed: int) -> None:
    """While events come in any order and are folded in now and then; and when all is folded in."""
    dice = random.Random(seed)
    facts = await told(db, dice, 80, folding=seed % 2 == 0)
    await assert_everything(db, dice, facts)
    assert await wrong(db) == 0
    async with db.begin() as conn:
        await changes.fold(conn)
    assert await wrong(db) == 0
    await assert_everything(db, dice, facts)


async def test_a_check_finds_what_is_wrong_and_a_rebuild_mends_it(db: Database) -> None:
    """Whatever happened to the rollups."""
    dice = random.Random(11)
    facts = await told(db, dice, 40, folding=True)
    for harm in (
        "delete from rollup_changes",
        "update rollups set total = total + 1 where grain = 'd' and dimension = 'all'",
        "update rollups set counts[1] = counts[1] + 1 where grain = 'h' and counts <> '{}'",
        "delete from rollups where grain = 'b'",
        "delete from rollups where grain = 'q' and severity = ''",
        "update rollups set paged = paged - 1 where grain = 'h' and severity = ''",
        "truncate rollups",
    ):
        async with db.begin() as conn:
            await changes.fold(conn, 30)
            await conn.execute(text(harm))
        assert await wrong(db) > 0
        span = await everything(db)
        days = list[int]()

        async def heard(of_day: int, days: list[int] = days) -> None:
            days.append(of_day)

        async with db.begin() as conn:
            assert await rebuilding.rebuild(conn, span, heard) == len(facts)
        assert sum(days) == len(facts)
        assert await wrong(db) == 0
        await assert_everything(db, dice, facts)


async def test_events_may_come_in_while_it_is_rebuilt(db: Database) -> None:
    """Late ones too, in the blocks that are being made anew; and folding goes on between."""
    dice = random.Random(3)
    events = [event for _ in range(120) for event in any_history(dice).events]
    dice.shuffle(events)
    batches = [events[n : n + 20] for n in range(0, len(events), 20)]
    async with db.begin() as conn:
        await record(conn, batches[0])
    folder, coming = Folder(db), asyncio.Event()

    async def comes() -> None:
        for batch in batches[1:]:
            async with db.begin() as conn:
                await record(conn, batch)
            await folder.work()
        coming.set()

    async def rebuilds() -> int:
        times = 0
        while not coming.is_set():
            span = await everything(db)
            blocks = [Window(at, at + rebuilding.BLOCK) for at in (span.start, span.start + rebuilding.BLOCK)]
            await asyncio.gather(*(rebuilt(db, block) for block in blocks))
            times += 1
        return times

    _, times = await asyncio.gather(comes(), rebuilds())
    assert times
    assert await wrong(db) == 0
    while await folder.work() is not None:
        pass
    assert await wrong(db) == 0
    await assert_everything(db, dice, joined(convert.facts(events)))


async def test_a_killed_rebuild_goes_on(db: Database) -> None:
    """Whoever takes it up does the blocks again in which it was killed."""
    facts = await told(db, random.Random(7), 40, folding=True)
    rebuilder = Rebuilder(db=db, bus=Bus("nats://127.0.0.1:1", name="sla"), clock=Clock(), streams=[])
    async with db.begin() as conn:
        await conn.execute(text("update rollups set total = total + 1"))
        run = await runs.add(conn, Run(ids.uuid7(), Kind.FACTS, State.RUNNING, NOW), "")
    async with db.begin() as conn:
        await rebuilder.work()
        await conn.execute(text("lock table rollups in share mode"))
        working = asyncio.create_task(rebuilder.work())

        async def waits() -> bool:
            query = "select count(*) from pg_locks where not granted and relation = 'rollups'::regclass"
            return bool((await conn.execute(text(query))).scalar_one())

        await eventually(waits)
        working.cancel()
        await asyncio.wait([working])
    assert await wrong(db) > 0
    while await rebuilder.work() is not None:
        pass
    async with db.connect() as conn:
        over = await runs.find(conn, run.run_id)
    assert over is not None
    assert (over.state, over.done, over.total) == (State.DONE, len(facts), len(facts))
    assert await wrong(db) == 0


async def rebuilt(db: Database, block: Window) -> None:
    """One block made anew."""
    async with db.begin() as conn:
        await rebuilding.rebuild(conn, block)


async def test_one_folds_at_a_time(db: Database) -> None:
    """The other comes back later, without waiting."""
    await told(db, random.Random(5), 5, folding=False)
    async with db.begin() as conn, db.begin() as other:
        assert await changes.fold(conn, 3) == 3
        assert await changes.fold(other) == 0
