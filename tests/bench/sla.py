"""Figures over many alerts: from rollups against the same question on the facts, and a rebuild.

`python -m tests.bench.sla 2000000` does it with that many facts.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from chassis import ids, migrate
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from cli.stack.schemas import role_url, script_location
from services.sla.domain.figures import Filter, Window
from services.sla.domain.run import Kind, Run, State
from services.sla.engine import Rebuilder
from services.sla.storage import rollups, runs
from tests.fixtures.postgres import PASSWORDS, start_postgres

FACTS, ROUNDS = 200_000, 7
DAY = timedelta(days=1)
END = datetime(2026, 3, 31, 9, 29, 9, tzinfo=UTC)
"""Half an hour and three hours from where cells begin, which is as far as may be."""
MONTH = Window(END - 30 * DAY, END)
ASKED = {
    "all": Filter(),
    "severity": Filter(severities=frozenset({"CRITICAL"})),
    "policy": Filter(policy_id="policy-3"),
    "source": Filter(source="source-7"),
    "schedule": Filter(schedule_id="schedule-2"),
    "responder": Filter(responder_id="responder-11"),
}
MAKE = """
insert into facts (alert_id, version, opened_at, severity, policy_id, source, title, labels, closed_at, closed_by,
    opened, suppressed, noise_suppressed, acked_at, acked_by, first_paged_at, escalations, told, timeout_escalated,
    schedules, responders, reopenings)
select gen_random_uuid(), 5, at, (array['CRITICAL', 'HIGH', 'MEDIUM', 'LOW', 'INFO'])[1 + n %% 5],
    'policy-' || source %% 10, 'source-' || source, 'the disk is full', '{"team": "db"}',
    at + (random() ^ 3 * 86400 + 30) * interval '1 second', 'bob', n %% 25 <> 0, n %% 25 = 0, false,
    case when n %% 9 <> 0 then at + (random() ^ 4 * 7200 + 5) * interval '1 second' end, 'alice',
    at + (random() ^ 4 * 60 + 0.3) * interval '1 second', '{}', array[responder], n %% 6 = 0,
    array['schedule-' || source %% 5], array[responder], '{}'
from (select *, 'responder-' || source %% 5 * 6 + extract(day from at)::int %% 6 as responder
    from (select n, floor(random() * 20)::int as source, timestamptz '2026-03-31 09:29:09+00' - interval '31 days' * (1 - n::float8 / %(facts)s) as at
    from generate_series(%(first)s::bigint, %(facts)s::bigint) n) numbered) routed"""


@contextmanager
def database() -> Iterator[str]:
    """The address of a schema `sla` on a Postgres of its own."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        server = start_postgres(Path(directory))
        try:
            roles = {name: migrate.Role(f"tocsin_{name}", password) for name, password in PASSWORDS.items()}
            migrate.prepare(server.url(), roles)
            url = role_url(server.url(), "sla", PASSWORDS["sla"])
            location = script_location("sla")
            assert location is not None
            migrate.upgrade(url, "sla", location)
            yield url
        finally:
            server.stop()


async def rebuilt(db: Database) -> float:
    """Seconds that a rebuild takes, as the service does it, with its progress."""
    clock = Clock()
    rebuilder = Rebuilder(db=db, bus=Bus("nats://127.0.0.1:1", name="sla"), clock=clock, streams=[])
    began = time.perf_counter()
    async with db.begin() as conn:
        run = await runs.add(conn, Run(ids.uuid7(), Kind.FACTS, State.RUNNING, clock.now()), "")
    working = asyncio.create_task(worked(rebuilder))
    while not working.done():
        await asyncio.wait([working], timeout=5)
        async with db.connect() as conn:
            run = await runs.find(conn, run.run_id) or run
        done = run.done + run.ahead
        print(f"  {time.perf_counter() - began:5.1f} s: {done:,} of {run.total:,}", flush=True)
    await working
    return time.perf_counter() - began


async def worked(rebuilder: Rebuilder) -> None:
    """Until the run is over."""
    while await rebuilder.work() is not None:
        pass


async def took(db: Database, wanted: Filter, *, few: int) -> float:
    """Milliseconds of one question."""
    async with db.connect() as conn:
        began = time.perf_counter()
        await rollups.figures(conn, [MONTH], wanted, now=END, few=few)
        return (time.perf_counter() - began) * 1000


async def compared(url: str, facts: int) -> None:
    """Fills, rebuilds, asks both ways in turn, and prints."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("set statement_timeout = 0")
        conn.execute("truncate facts, rollups, rollup_changes")
        conn.execute(MAKE, {"first": 1, "facts": facts})
        conn.execute("vacuum analyze facts")
    db = Database(url, name="sla")
    await db.open()
    seconds = await rebuilt(db)
    print(f"{facts:,} facts: rebuilt in {seconds:.1f} s")
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("vacuum analyze rollups")
    for name, wanted in ASKED.items():
        pairs = [(await took(db, wanted, few=0), await took(db, wanted, few=10**9)) for _ in range(ROUNDS)]
        quick = statistics.median(pair[0] for pair in pairs)
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        print(f"  30 days by {name}: {quick:.1f} ms, {ratio:.0f} times as fast as from the facts")
    await db.close()


def main() -> None:
    """A tenth of the facts, then all of them: by default 200,000."""
    facts = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else FACTS
    with database() as url:
        for number in (facts // 10, facts):
            asyncio.run(compared(url, number))


if __name__ == "__main__":
    main()
