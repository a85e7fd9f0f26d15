"""API keys in this replica's memory, told to the gates of all services."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from chassis.snapshot import Snapshot
from chassis.wake import Wakeups
from identity.follower import REPORT
from identity.keys import Keys
from services.roster.convert import api_keys as convert
from services.roster.domain.api_key import ApiKey
from services.roster.storage import api_keys

CHANGED = "api_keys_changed"
POLL = timedelta(milliseconds=500)


class KeyMemory:
    """Knows at once what this replica has committed, and within half a second what others have."""

    def __init__(self, db: Database, wakeups: Wakeups, clock: Clock) -> None:
        self._db = db
        self._wakeups = wakeups
        self._clock = clock
        self._snapshot = Snapshot("api_keys", self._load, db, poll=POLL, version=api_keys.version)
        self._used: set[str] = set()
        self._use = DueLoop("api-key-use", self._write_use, poll=REPORT)
        self.turn = asyncio.Event()
        """Set, and replaced by another, when the keys have been read anew."""
        wakeups.on(CHANGED, self._snapshot.wake)

    @property
    def all(self) -> Sequence[ApiKey]:
        """The keys; the same list until they are read anew."""
        return self._snapshot.value[0]

    @property
    def keys(self) -> Keys:
        """The keys by the hash of their secret."""
        return self._snapshot.value[1]

    async def news(self, patience: float) -> None:
        """Returns when the keys have been read anew, or after `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self.turn.wait()

    def use(self, api_key_id: str) -> None:
        """Notes that a key is used now; written within a minute."""
        self._used.add(api_key_id)

    async def changed(self) -> None:
        """Reads what the caller has just committed and wakes the other replicas."""
        await self._snapshot.refresh()
        await self._wakeups.notify(CHANGED)

    async def refresh(self) -> None:
        """Reads what has been committed by now."""
        await self._snapshot.refresh()

    async def run(self) -> None:
        """Keeps the keys fresh for ever; only cancellation ends it."""
        await asyncio.gather(self._snapshot.run(), self._use.run())

    async def _load(self, conn: AsyncConnection) -> tuple[Sequence[ApiKey], Keys]:
        found = await api_keys.every(conn)
        self.turn.set()  # who waits for it runs only once the snapshot has the value
        self.turn = asyncio.Event()
        return found, convert.accepted(found)

    async def _write_use(self) -> None:
        used, self._used = self._used, set()
        if used:
            async with self._db.begin() as conn:
                await api_keys.used(conn, used, self._clock.now())
