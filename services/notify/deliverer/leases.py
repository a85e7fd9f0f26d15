"""The leases of what this process is trying: kept alive while it does, and given up in time when they cannot be."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.notify.storage import attempts

LEASE = timedelta(seconds=6)
"""A process that is killed delays what it was trying by so much."""
BEAT = timedelta(seconds=1.5)
"""Three looks fit into a lease; what is answered sooner than the first costs none."""
MARGIN = timedelta(seconds=1)
"""Before its lease ends an attempt is given up: another process may try next."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Held:
    attempt: int
    ends_at: datetime
    task: asyncio.Task[None]


class Leases:
    """What is being tried by this process alone.

    A lease is stretched as long as its attempt goes on; where that fails, because the database is away or the page is
    not to be sent any more, the attempt is cut before the lease ends. So no two processes try the same at once, and
    the count of attempts keeps one that was stopped meanwhile from writing.
    """

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._held: dict[UUID, _Held] = {}
        self._loop = DueLoop("leases", self._beat, poll=BEAT)

    async def run(self) -> None:
        """Keeps leases alive for ever; only cancellation ends it."""
        await self._loop.run()

    def hold(self, route_log_id: UUID, attempt: int, ends_at: datetime, task: asyncio.Task[None]) -> None:
        """An attempt begins, until `end`. One before it that still goes on is cut."""
        if (before := self._held.get(route_log_id)) is not None:
            before.task.cancel()
        self._held[route_log_id] = _Held(attempt, ends_at, task)

    def stands(self, route_log_id: UUID, attempt: int) -> bool:
        """Whether there is time left to begin this attempt."""
        held = self._held.get(route_log_id)
        return held is not None and held.attempt == attempt and self._clock.now() < held.ends_at - MARGIN

    def end(self, route_log_id: UUID, attempt: int) -> None:
        """The attempt is over: its outcome may be written late, and is not cut."""
        held = self._held.get(route_log_id)
        if held is not None and held.attempt == attempt:
            del self._held[route_log_id]

    async def _beat(self) -> timedelta | None:
        try:
            await self._extend()
        finally:
            self._cut()
        return None

    async def _extend(self) -> None:
        now = self._clock.now()
        old = {
            route_log_id: held
            for route_log_id, held in self._held.items()
            if now < held.ends_at - MARGIN and held.ends_at - now < LEASE - BEAT / 2
        }
        if not old:
            return
        until = now + LEASE
        async with self._db.raw() as conn, asyncio.timeout(MARGIN.total_seconds()):
            kept = await attempts.extend(conn, {one: held.attempt for one, held in old.items()}, until)
        for route_log_id in kept:
            old[route_log_id].ends_at = until

    def _cut(self) -> None:
        now = self._clock.now()
        lost = [one for one, held in self._held.items() if now >= held.ends_at - MARGIN]
        for route_log_id in lost:
            self._held.pop(route_log_id).task.cancel()
        if lost:
            _log.warning(
                "leases_lost",
                reason="LEASE_ENDED",
                route_log_ids=[str(one) for one in lost[:10]],
                of=len(lost),
            )
