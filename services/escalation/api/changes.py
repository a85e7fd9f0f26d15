"""Changes of rules: one at a time, in force here before they are answered and elsewhere at once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.db import Database
from chassis.snapshot import Snapshot
from chassis.wake import Wakeups
from identity.audit import audited
from services.escalation.domain.rules import Rules
from services.escalation.storage import noise
from services.escalation.storage import rules as storage


class RuleChanges:
    """Opens the transactions that write rules."""

    def __init__(self, db: Database, rules: Snapshot[Rules], wakeups: Wakeups) -> None:
        self._db = db
        self._rules = rules
        self._wakeups = wakeups

    @asynccontextmanager
    async def begin(self, *, review: str = "", at: datetime | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction that no other change of rules runs beside; after its commit the new rules are in force.

        With `review`, the name of a rule, the alerts that it concerns are judged anew from `at` on.
        """
        async with audited(self._db) as conn:
            await storage.begin_change(conn)
            yield conn
            if review and at is not None:
                await noise.review(conn, [review], at)
        await self._rules.refresh()
        await self._wakeups.notify(storage.CHANNEL)
