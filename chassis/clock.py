"""One clock for all replicas: the database's, carried forward by this process's monotonic clock."""

import time
from datetime import UTC, datetime, timedelta

from chassis.db import Database

LONG = 0.25
"""Seconds after which a round trip tells too little of the time."""
TRIES = 5


class Clock:
    """Tells the database's time in UTC without a round trip per question (ADR 6).

    `sync` reads the database's clock; between syncs the monotonic clock carries it forward, so a machine whose
    wall clock is wrong, or jumps, does not fire timers early or late. `advance` moves it for tests.
    """

    def __init__(self) -> None:
        self._anchor = datetime.now(UTC)
        self._at = time.monotonic()
        self._ahead = timedelta()
        self._synced = False

    def now(self) -> datetime:
        """The current instant in UTC."""
        return self._anchor + timedelta(0, time.monotonic() - self._at)

    def advance(self, by: timedelta) -> None:
        """Moves this clock forward: for tests."""
        self._ahead += by
        self._anchor += by

    async def sync(self, db: Database) -> None:
        """Takes the database's time; half of the round trip is taken to be the way back.

        A round trip that took long says little, as when this process was stopped in the middle: it is made again, and
        when they all do, what is known already stays.
        """
        async with db.raw() as conn:  # no time to connect, or to begin a transaction, is in a round trip
            for _ in range(TRIES):
                before = time.monotonic()
                ((anchor,),) = await (await conn.execute("select clock_timestamp()")).fetchall()
                took = time.monotonic() - before
                if took <= LONG or not self._synced:
                    self._anchor, self._at = anchor + self._ahead, before + took / 2
                self._synced = took <= LONG or self._synced
                if took <= LONG:
                    return
