"""Forgets old pages little by little, so that the trail does not grow without end."""

from datetime import timedelta

import structlog

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.notify.storage import retention

PIECE = 1_000
"""Pages forgotten in one transaction: none is long."""
PAUSE = timedelta(milliseconds=100)
"""Between two pieces: forgetting is in no hurry."""
IDLE = timedelta(hours=1)
"""After so long a lane has all of its tokens and no window."""

_log = structlog.get_logger()


class Retention:
    """Forgets what is older than `keep`; any number of replicas may."""

    def __init__(self, db: Database, clock: Clock, *, keep: timedelta) -> None:
        self._db = db
        self._clock = clock
        self._keep = keep
        self._loop = DueLoop("retention", self._work, poll=timedelta(hours=1))

    async def run(self) -> None:
        """Forgets for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        now = self._clock.now()
        before = now - self._keep
        async with self._db.begin() as conn:
            gone = await retention.pages(conn, before, PIECE)
        async with self._db.begin() as conn:
            forgotten = await retention.alerts(conn, before, PIECE)
            await retention.lanes(conn, now - IDLE)
        if gone or forgotten:
            _log.info("pages_forgotten", pages=gone, alerts=forgotten)
        return PAUSE if PIECE in (gone, forgotten) else None
