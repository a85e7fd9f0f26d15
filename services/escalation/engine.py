"""Wakes up when a step of an escalation is due, and has it taken."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.escalation.steps import Steps
from services.escalation.storage import timers

POLL = timedelta(milliseconds=500)
PAUSE = timedelta(milliseconds=20)
"""The shortest sleep: what is due and was not claimed is just in somebody else's hands."""


class Engine:
    """The loop over timers: woken by commits, by other replicas, by the next due instant, and now and then."""

    def __init__(self, *, db: Database, steps: Steps, clock: Clock) -> None:
        self._db = db
        self._steps = steps
        self._clock = clock
        self._loop = DueLoop("engine", self._work, poll=POLL)

    def wake(self) -> None:
        """Tells that something may be due."""
        self._loop.wake()

    async def run(self) -> None:
        """Has steps taken for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        if await self._steps.take() is not None:
            return timedelta()
        async with self._db.raw() as conn:
            at = await timers.next_at(conn)
        return None if at is None else max(at - self._clock.now(), PAUSE)
