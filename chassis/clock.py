"""One clock for all replicas: the database's, carried forward by this process's monotonic clock."""

import time
from datetime import UTC, datetime, timedelta

from chassis.db import Database


class Clock:
    """Tells the database's time in UTC without a round trip per question (ADR 6).

    `sync` reads the database's clock; between syncs the monotonic clock carries it forward, so a machine whose
    wall clock is wrong, or jumps, does not fire timers early or late. `advance` moves it for tests.
    """

    def __init__(self) -> None:
        self._anchor = datetime.now(UTC)
        self._at = time.monotonic()
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The current instant in UTC."""
        return self._anchor + timedelta(0, time.monotonic() - self._at)

    def advance(self, by: timedelta) -> None:
        """Moves this clock forward: for tests."""
        self._ahead += by
        self._anchor += by

    async def sync(self, db: Database) -> None:
        """Takes the database's time; half of the round trip is taken to be the way back."""
        async with (
            db.raw() as conn
        ):  # one round trip: no time to connect, or to begin a transaction, is in it
            before = time.monotonic()
            ((anchor,),) = await (await conn.execute("select clock_timestamp()")).fetchall()
            after = time.monotonic()
        self._anchor, self._at = anchor + self._ahead, (before + after) / 2
