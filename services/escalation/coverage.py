"""Whom targets mean: asked of roster, and while roster is away what it said last."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from chassis.db import Database
from chassis.errors import DomainError, TimedOut
from services.escalation.clients import Roster
from services.escalation.domain.escalation import Cover
from services.escalation.storage import executions

RESPONDER = "responder://"
DEADLINE = timedelta(seconds=1)
AT_ONCE = 64
"""Questions to roster under way at the same time."""

_log = structlog.get_logger()
_away = Counter("tocsin_roster_away_total", "Times roster could not be asked.", ["reason"])


class Coverage:
    """Knows who is covered, as far as anybody does."""

    def __init__(self, *, db: Database, roster: Roster) -> None:
        self._db = db
        self._roster = roster
        self._kept: dict[str, tuple[str, ...]] = {}
        self._asking = asyncio.Semaphore(AT_ONCE)

    async def of(
        self, targets: Collection[str], at: datetime, *, within: timedelta | None = None
    ) -> Mapping[str, Cover]:
        """The cover of each target at an instant; without the targets that nobody can say anything about.

        Raises TimedOut when roster says nothing `within` less than the deadline; after the deadline it is away.
        """
        if not targets:
            return {}
        within = within or DEADLINE
        try:
            told = await self._ask(targets, at, within)
        except DomainError as error:
            if isinstance(error, TimedOut) and within < DEADLINE:
                raise
            _away.labels(error.reason).inc()
            _log.warning("roster_away", reason=error.reason, error=error.message, targets=len(targets))
            return await self._last(targets)
        await self._keep(told, at)
        return {target: Cover(responders) for target, responders in told.items()}

    async def learn(self, targets: Collection[str], at: datetime) -> None:
        """Remembers what targets mean, for when roster is away. Raises a DomainError when it is.

        What another replica has written since this one asked last is looked at too.
        """
        told = await self._ask(targets, at, DEADLINE)
        async with self._db.connect() as conn:
            self._kept |= await executions.last_coverage(conn, targets)
        await self._keep(told, at)

    async def foreseen(self, targets: Collection[str], at: datetime) -> Mapping[str, Cover]:
        """The same for an instant that has not come; nothing is remembered of it."""
        if not targets:
            return {}
        told = await self._roster.resolve(targets, at)
        return {target: Cover(responders) for target, responders in told.items()}

    async def _ask(
        self, targets: Collection[str], at: datetime, within: timedelta
    ) -> Mapping[str, tuple[str, ...]]:
        try:
            async with asyncio.timeout(within.total_seconds()), self._asking:
                return await self._roster.resolve(targets, at)
        except TimeoutError:
            raise TimedOut("roster does not answer") from None

    async def _last(self, targets: Collection[str]) -> Mapping[str, Cover]:
        """What roster said last; a responder's own target says itself whom it means."""
        async with self._db.connect() as conn:
            last = await executions.last_coverage(conn, targets)
        named = {one: (one.removeprefix(RESPONDER),) for one in targets if one.startswith(RESPONDER)}
        return {target: Cover(people, stale=True) for target, people in {**named, **last}.items()}

    async def _keep(self, told: Mapping[str, tuple[str, ...]], at: datetime) -> None:
        news = {target: people for target, people in told.items() if self._kept.get(target) != people}
        if news:
            async with self._db.begin() as conn:
                await executions.cover(conn, news, at)
            self._kept |= news
