"""Promises: made and settled with the events of alerts, and told of when their time comes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import outbox
from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.snapshot import Snapshot
from services.sla.convert import targets as convert
from services.sla.domain.matcher import Matcher, parse
from services.sla.domain.target import Promise, Target, promised, settled, told
from services.sla.storage import promises as storage

AT_ONCE = 500
"""Promises that are told of in one transaction."""
POLL = timedelta(milliseconds=250)
"""How soon what another replica has promised is seen."""

_told = Counter("tocsin_sla_told_total", "Promises told of.", ["state"])


@dataclass(frozen=True, slots=True)
class Rules:
    """The targets with their matchers, compiled once per change."""

    version: object
    targets: Sequence[tuple[Target, Sequence[Matcher]]]

    @classmethod
    async def load(cls, conn: AsyncConnection) -> "Rules":
        """The targets as they are now."""
        version = await storage.version(conn)
        found = await storage.every(conn)
        return cls(version, [(target, [parse(text) for text in target.matchers]) for target in found])


class Promises:
    """The targets in memory, and what they ask of a batch of events."""

    def __init__(self, db: Database, clock: Clock, *, after: Callable[[], None]) -> None:
        """`after` is called when something was told: it wakes the relay."""
        self._db = db
        self._clock = clock
        self._after = after
        self.rules = Snapshot("targets", Rules.load, db)

    async def changed(self) -> None:
        """Reads the targets again; other replicas do within a second."""
        await self.rules.refresh()

    async def follow(self, conn: AsyncConnection, alert_ids: Sequence[UUID]) -> None:
        """Makes and settles what is promised of these alerts, on the transaction that has joined their facts."""
        if not alert_ids:
            return
        if await storage.version(conn) != self.rules.value.version:
            await self.rules.refresh()
        if not (targets := self.rules.value.targets):
            return
        facts = {fact.alert_id: fact for fact in await storage.facts(conn, alert_ids)}
        await storage.make(conn, promised(targets, list(facts.values())))
        known = await storage.of_alerts(conn, alert_ids)
        now = [settled(promise, facts[promise.alert_id]) for promise in known]
        await storage.save(conn, [after for before, after in zip(known, now, strict=True) if after != before])

    async def tell(self) -> timedelta | None:
        """Tells of what is due, once each, whichever replica gets to it first; how long until the next."""
        now = self._clock.now()
        async with self._db.begin() as conn:
            due = [told(promise, now) for promise in await storage.claim_due(conn, now, AT_ONCE)]
            await storage.save(conn, due)
            await outbox.append(conn, [convert.event(promise, now) for promise in due])
            crashpoint("promises.before_commit")
        self._count(due)
        if len(due) == AT_ONCE:
            return timedelta()
        async with self._db.connect() as conn:
            return await storage.due_in(conn, self._clock.now())

    def _count(self, due: Sequence[Promise]) -> None:
        for promise in due:
            _told.labels(promise.state).inc()
        if due:
            self._after()
