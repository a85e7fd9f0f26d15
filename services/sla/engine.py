"""What the service does by itself: changes are folded into the rollups, and rebuilds and checks go on."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Unavailable
from messaging.epochs import look, restart
from services.sla.domain.figures import Window
from services.sla.domain.run import Kind, Run, State
from services.sla.storage import changes, rebuilding, runs

DURABLE, BUSY = "sla", "DATABASE_BUSY"
AT_ONCE = 2
"""Blocks under way at a time: what two cores can do."""
_log = structlog.get_logger()


class Folder:
    """The loop's work; any number of replicas may run it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def work(self) -> timedelta | None:
        """Folds some changes; runs again at once when there may be more, and later while somebody rebuilds."""
        try:
            async with self._db.begin() as conn:
                folded = await changes.fold(conn)
        except Unavailable as error:
            if error.reason != BUSY:
                raise
            return None
        return timedelta() if folded == changes.FOLD else None


class _Ahead:
    """Tells whoever watches a run how much of its next blocks is done."""

    def __init__(self, db: Database, run: Run) -> None:
        self._db = db
        self._run = run
        self._facts = 0

    async def add(self, facts: int) -> None:
        """So many more."""
        self._facts += facts
        async with self._db.begin() as conn:
            await runs.advance(conn, self._run.run_id, self._facts)


class Rebuilder:
    """Goes on with runs, two blocks of days at a time: one that is killed in them does those blocks again."""

    def __init__(self, *, db: Database, bus: Bus, clock: Clock, streams: Sequence[str]) -> None:
        self._db = db
        self._bus = bus
        self._clock = clock
        self._streams = streams

    async def work(self) -> timedelta | None:
        """Does the next blocks of the oldest run; comes again at once until it is done."""
        async with self._db.begin() as conn:
            run = await runs.claim(conn)
            if run is None:
                return None
            after = await (self._stream(conn, run) if run.kind is Kind.STREAM else self._block(conn, run))
            await runs.save(conn, after)
        _log.info("run", run=str(run.run_id), kind=run.kind, state=after.state, done=after.done)
        return None if run.kind is Kind.STREAM else timedelta()

    async def _block(self, conn: AsyncConnection, run: Run) -> Run:
        span = await rebuilding.span(conn)
        if span is None or (run.next_at and run.next_at >= span.end):
            return self._over(run)
        if run.next_at is None:  # what there is to do is told before the first of it is done
            return replace(run, total=await runs.facts(conn), next_at=span.start)
        start = max(span.start, run.next_at)
        ends = [start + number * rebuilding.BLOCK for number in range(1, AT_ONCE + 1)]
        blocks = [Window(end - rebuilding.BLOCK, end) for end in ends if end <= span.end]
        ahead = _Ahead(self._db, run)
        did = await asyncio.gather(*(self._one(run.kind, block, ahead.add) for block in blocks))
        return replace(
            run,
            next_at=blocks[-1].end,
            done=run.done + sum(facts for _, facts in did),
            differences=run.differences + sum(differences for differences, _ in did),
        )

    async def _one(self, kind: Kind, block: Window, told: rebuilding.Told) -> tuple[int, int]:
        """One block, on a transaction of its own: how many numbers differ, and of how many facts."""
        async with self._db.begin() as conn:
            if kind is Kind.CHECK:
                return await rebuilding.differences(conn, block, told)
            return 0, await rebuilding.rebuild(conn, block, told)

    async def _stream(self, conn: AsyncConnection, run: Run) -> Run:
        """Begins with the first event again, then waits until nothing is left."""
        if run.next_at is None:
            await runs.forget_seen(conn, [f"{DURABLE}/{stream}" for stream in self._streams])
            for stream in self._streams:
                await restart(self._bus, stream, DURABLE)
            return replace(run, next_at=run.requested_at)
        behind = 0
        for stream in self._streams:
            behind += (await look(self._bus, stream, DURABLE)).behind
        total = max(run.total, behind)
        now = replace(run, total=total, done=total - behind)
        return now if behind else self._over(now)

    def _over(self, run: Run) -> Run:
        return replace(run, state=State.DONE, finished_at=self._clock.now())
