"""Gives alerts to whoever comes on call: each alert and handover once, however often and late it is told of."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.loop import DueLoop
from services.escalation.convert import inbound as convert
from services.escalation.steps import LEASE
from services.escalation.storage import handovers as storage

STREAM, SUBJECTS = "TOCSIN_ROSTER", ("roster.handover",)
AGAIN = LEASE + timedelta(seconds=1)
"""After how long alerts are looked for a second time: a step whose people were asked for before the handover may have
been written after the first."""
PAUSE = timedelta(milliseconds=20)

_log = structlog.get_logger()


class Handovers:
    """Keeps handovers as events tell of them, and arms a timer for each alert that they concern.

    Whom a timer tells is decided when it is due, by who is on call then. Nobody is told whom the alert has told since
    the handover, so looking twice, or at a repeated event, tells nobody twice.
    """

    def __init__(self, *, db: Database, clock: Clock, armed: Callable[[], None]) -> None:
        """`armed` is called when timers are due."""
        self._db = db
        self._clock = clock
        self._armed = armed
        self._loop = DueLoop("handovers", self._work)

    async def handle(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        """Keeps the handovers that somebody comes by, on the consumer's transaction."""
        found = [convert.arrival(event.data) for event in events]
        await storage.note(conn, [one for one in found if one.incoming], self._clock.now())

    def wake(self) -> None:
        """Tells that there are new handovers."""
        self._loop.wake()

    async def run(self) -> None:
        """Looks for alerts for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        now = self._clock.now()
        async with self._db.begin() as conn:
            arrival = await storage.claim(conn, now)
            if arrival is not None:
                armed = await storage.arm(conn, arrival, now)
                if armed < storage.ALERTS:
                    if arrival.looks:
                        await storage.done(conn, arrival)
                    else:
                        await storage.look_again(conn, arrival, now + AGAIN)
                crashpoint("handovers.before_commit")
        if arrival is None:
            async with self._db.raw() as conn_:
                due_in = await storage.next_in(conn_, now)
            return None if due_in is None else max(due_in, PAUSE)
        crashpoint("handovers.after_commit")
        if armed:
            self._armed()
            _log.info("handed_over", schedule_id=arrival.schedule_id, alerts=armed, look=arrival.looks + 1)
        return timedelta()
