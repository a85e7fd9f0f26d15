"""Finds alerts that nothing would ever tell anybody of again, and steps that nobody takes: neither should be."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Gauge

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.escalation.domain.course import resumed
from services.escalation.storage import alerts as stored
from services.escalation.storage import watch as storage
from services.escalation.storage.changes import Changes, write

EVERY = timedelta(seconds=5)
ALERTS = 2_000
"""How many alerts that are not closed one look goes through, from where the look before ended."""
LATE = timedelta(seconds=30)
"""After how long a step that is due should have been taken, whoever is away."""

_log = structlog.get_logger()
_found = Counter("tocsin_watchdog_found_total", "Alerts that waited for nothing and were made to escalate.")
_late = Gauge("tocsin_timers_overdue", "Timers due for more than 30 s that nobody has decided.")
_exhausted = Gauge("tocsin_alerts_exhausted", "Open alerts of which everybody was told and whom nobody took.")
_looked_at = Gauge(
    "tocsin_watchdog_looked_at_seconds", "When the watchdog looked last, in seconds since 1970."
)


class Watchdog:
    """Goes through the open alerts, a piece at a time by an index, and has those escalate that no timer waits for."""

    def __init__(self, *, db: Database, clock: Clock, found: Callable[[], None]) -> None:
        """`found` is called when an alert was made to escalate."""
        self._db = db
        self._clock = clock
        self._found = found
        self._loop = DueLoop("watchdog", self._look, poll=EVERY)
        self._after = storage.START

    async def run(self) -> None:
        """Looks for ever; only cancellation ends it."""
        await self._loop.run()

    async def _look(self) -> timedelta | None:
        now = self._clock.now()
        async with self._db.connect() as conn:
            piece = await storage.waiting(conn, after=self._after, limit=ALERTS)
            _late.set(await storage.overdue(conn, now - LATE))
            _exhausted.set(await storage.exhausted(conn))
        self._after = piece.after
        _looked_at.set(now.timestamp())
        if piece.lost:
            await self._escalate(piece.lost)
        return None

    async def _escalate(self, lost: list[UUID]) -> None:
        """Those that still wait for nothing when they are locked: a verb may have been under way."""
        async with self._db.begin() as conn:
            locked = await stored.lock(conn, lost)
            still = await storage.lost_of(conn, lost)
            now = self._clock.now()
            await write(conn, Changes(timers=[resumed(locked[alert_id], now) for alert_id in still]))
        if still:
            _found.inc(len(still))
            _log.error("watchdog_found", alert_id=[str(one) for one in still[:10]], alerts=len(still))
            self._found()
