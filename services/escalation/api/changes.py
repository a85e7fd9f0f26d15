"""Changes of rules: one at a time, by whom they belong to, in force here before they are answered and elsewhere at once."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.db import Database
from chassis.snapshot import Snapshot
from chassis.wake import Wakeups
from identity.audit import audited
from services.escalation.domain.rules import Rules
from services.escalation.ownership import Ownership, unmoved
from services.escalation.storage import noise
from services.escalation.storage import rules as storage
from services.escalation.storage.rules import Resource, Shelf


class RuleChanges:
    """Opens the transactions that write rules."""

    def __init__(
        self, *, db: Database, rules: Snapshot[Rules], wakeups: Wakeups, ownership: Ownership
    ) -> None:
        self._db = db
        self._rules = rules
        self._wakeups = wakeups
        self._ownership = ownership

    @asynccontextmanager
    async def adding(
        self, team_id: str, *, review: str = "", at: datetime | None = None
    ) -> AsyncIterator[AsyncConnection]:
        """A transaction that may add something that belongs to the team, which may be none.

        With `review`, the name of a rule, the alerts that it concerns are judged anew from `at` on. Raises Invalid when
        there is no such team, Denied when the caller is not in it.
        """
        await self._ownership.check("", team_id)
        async with self._begin(review, at) as conn:
            yield conn

    @asynccontextmanager
    async def editing(
        self,
        shelf: Shelf[Resource],
        key: str,
        wanted: Callable[[Resource], Resource] = lambda one: one,
        *,
        review: str = "",
        at: datetime | None = None,
    ) -> AsyncIterator[tuple[AsyncConnection, Resource]]:
        """A transaction that may change what is on the shelf, and what is there now.

        Raises NotFound, Denied when the caller may not make what is `wanted` of it, or what `wanted` raises.
        """
        async with self._db.connect() as conn:
            seen = await shelf.get(conn, key)
        await self._ownership.check(seen.team_id, wanted(seen).team_id)
        async with self._begin(review, at) as conn:
            old = await shelf.get(conn, key)
            unmoved(old.team_id, seen.team_id)
            yield conn, old

    @asynccontextmanager
    async def _begin(self, review: str, at: datetime | None) -> AsyncIterator[AsyncConnection]:
        """A transaction that no other change of rules runs beside; after its commit the new rules are in force."""
        async with audited(self._db) as conn:
            await storage.begin_change(conn)
            yield conn
            if review and at is not None:
                await noise.review(conn, review, at)
        await self._rules.refresh()
        await self._wakeups.notify(storage.CHANNEL)
