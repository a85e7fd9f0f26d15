"""Whom targets mean: asked of roster, and while roster is away what it said last."""

from collections.abc import Collection, Mapping
from datetime import datetime

import structlog
from prometheus_client import Counter

from chassis.db import Database
from chassis.errors import DomainError
from services.escalation.clients import Roster
from services.escalation.domain.escalation import Cover
from services.escalation.storage import executions

RESPONDER = "responder://"

_log = structlog.get_logger()
_away = Counter("tocsin_roster_away_total", "Times roster could not be asked.", ["reason"])


class Coverage:
    """Knows who is covered, as far as anybody does."""

    def __init__(self, *, db: Database, roster: Roster) -> None:
        self._db = db
        self._roster = roster
        self._kept: dict[str, tuple[str, ...]] = {}

    async def of(self, targets: Collection[str], at: datetime) -> Mapping[str, Cover]:
        """The cover of each target at an instant; without the targets that nobody can say anything about."""
        if not targets:
            return {}
        try:
            told = await self._roster.resolve(targets, at)
        except DomainError as error:
            _away.labels(error.reason).inc()
            _log.warning("roster_away", reason=error.reason, error=error.message, targets=len(targets))
            return await self._last(targets)
        await self._keep(told, at)
        return {target: Cover(responders) for target, responders in told.items()}

    async def foreseen(self, targets: Collection[str], at: datetime) -> Mapping[str, Cover]:
        """The same for an instant that has not come; nothing is remembered of it."""
        if not targets:
            return {}
        told = await self._roster.resolve(targets, at)
        return {target: Cover(responders) for target, responders in told.items()}

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
