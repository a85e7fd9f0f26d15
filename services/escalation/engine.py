"""Wakes up when a step of an escalation is due, and has it taken: several batches at the same time."""

import asyncio
import time
from datetime import timedelta

import structlog
from prometheus_client import Counter

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop, reason_of
from services.escalation.steps import BATCH, Batch, Steps
from services.escalation.storage import timers

POLL = timedelta(milliseconds=500)
PAUSE = timedelta(milliseconds=20)
"""The shortest sleep: what is due and was not claimed is just in somebody else's hands."""
GAP, LONGEST_GAP = timedelta(milliseconds=8), timedelta(milliseconds=32)
"""Between two claims, and between those of an engine that is busy all the time: the more is due, the more share a batch."""
BATCHES = 4
"""Batches under way at the same time: one that waits for roster does not keep the others waiting."""

_log = structlog.get_logger()
_failures = Counter("tocsin_escalation_batches_failed_total", "Batches to be claimed again.", ["reason"])


class Engine:
    """The loop over timers: woken by commits, by other replicas, by the next due instant, and now and then."""

    def __init__(self, *, db: Database, steps: Steps, clock: Clock) -> None:
        self._db = db
        self._steps = steps
        self._clock = clock
        self._loop = DueLoop("engine", self._work, poll=POLL)
        self._free = asyncio.Semaphore(BATCHES)
        self._under_way: set[asyncio.Task[None]] = set()
        self._gap = GAP
        self._claimed_at = 0.0

    def wake(self) -> None:
        """Tells that something may be due."""
        self._loop.wake()

    async def run(self) -> None:
        """Has steps taken for ever; only cancellation ends it."""
        try:
            await self._loop.run()
        finally:
            for task in self._under_way:
                task.cancel()
            if self._under_way:
                await asyncio.wait(self._under_way)

    async def _work(self) -> timedelta | None:
        await self._free.acquire()
        try:
            await self._rest()
            batch = await self._steps.claim()
        except BaseException:
            self._free.release()
            raise
        if batch is None:
            self._free.release()
            async with self._db.raw() as conn:
                at = await timers.next_at(conn)
            return None if at is None else max(at - self._clock.now(), PAUSE)
        self._claimed_at = time.monotonic() if len(batch.due) < BATCH else 0.0
        task = asyncio.create_task(self._carry_out(batch))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return timedelta()

    async def _rest(self) -> None:
        """What is due alone is claimed at once; what follows without a pause waits for others, unless batches are full."""
        rest = self._claimed_at + self._gap.total_seconds() - time.monotonic()
        self._gap = min(2 * self._gap, LONGEST_GAP) if rest > 0 else GAP
        await asyncio.sleep(max(0.0, rest))

    async def _carry_out(self, batch: Batch) -> None:
        """What fails is claimed again when its lease has run out."""
        try:
            await self._steps.carry_out(batch)
        except Exception as error:
            _failures.labels(reason_of(error)).inc()
            _log.warning("batch_failed", reason=reason_of(error), error=str(error), timers=len(batch.due))
        finally:
            self._free.release()
