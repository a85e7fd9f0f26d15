"""What the service does by itself: changes are folded into the rollups, and rebuilds and checks go on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from services.sla.domain.figures import Window
from services.sla.domain.run import Kind, Run, State
from services.sla.storage import changes, runs

DURABLE = "sla"
_log = structlog.get_logger()


class Folder:
    """The loop's work; any number of replicas may run it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def work(self) -> timedelta | None:
        """Folds some changes; runs again at once when there may be more."""
        async with self._db.begin() as conn:
            folded = await changes.fold(conn)
        return timedelta() if folded == changes.FOLD else None


class Rebuilder:
    """Goes on with runs, a block of days a transaction: one that is killed in it does that block again."""

    def __init__(self, *, db: Database, bus: Bus, clock: Clock, streams: Sequence[str]) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._streams = streams

    async def work(self) -> timedelta | None:
        """Does the next block of the oldest run; comes again at once until it is done."""
        async with self._db.begin() as conn:
            run = await runs.claim(conn)
            if run is None:
                return None
            after = await (self._stream(conn, run) if run.kind is Kind.STREAM else self._block(conn, run))
            await runs.save(conn, after)
        _log.info("run", run=str(run.run_id), kind=run.kind, state=after.state, done=after.done)
        return None if run.kind is Kind.STREAM else timedelta()

    async def _block(self, conn: AsyncConnection, run: Run) -> Run:
        span = await changes.span(conn)
        if run.next_at is None:
            run = replace(run, total=await runs.facts(conn))
        if span is None or (run.next_at and run.next_at >= span.end):
            return self._over(run)
        start = max(span.start, run.next_at or span.start)
        block = Window(start, start + changes.BLOCK)
        if run.kind is Kind.CHECK:
            differences, facts = await changes.differences(conn, block)
        else:
            differences, facts = 0, await changes.rebuild(conn, block)
        return replace(
            run, next_at=block.end, done=run.done + facts, differences=run.differences + differences
        )

    async def _stream(self, conn: AsyncConnection, run: Run) -> Run:
        """Begins with the first event again, then waits until nothing is left."""
        if run.next_at is None:
            await runs.forget_seen(conn, [f"{DURABLE}/{stream}" for stream in self._streams])
            for stream in self._streams:
                await self._bus.restart(stream, DURABLE)
            return replace(run, next_at=run.requested_at)
        behind = 0
        for stream in self._streams:
            behind += (await self._bus.epoch(stream, DURABLE)).behind
        total = max(run.total, behind)
        now = replace(run, total=total, done=total - behind)
        return now if behind else self._over(now)

    def _over(self, run: Run) -> Run:
        return replace(run, state=State.DONE, finished_at=self._clock.now())
