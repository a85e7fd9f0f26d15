"""Judges alerts anew when what keeps them quiet begins, ends or changes: nothing stays quiet without a reason."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.ids import uuid7
from chassis.loop import DueLoop
from chassis.snapshot import Snapshot
from services.escalation.domain.alert import SILENCES, Alert, Change, State
from services.escalation.domain.escalation import to_cease
from services.escalation.domain.integration import INTEGRATIONS
from services.escalation.domain.matcher import Matcher, all_match, parse
from services.escalation.domain.noise import INHIBITIONS, InhibitionRule, sides
from services.escalation.domain.quieting import quieted, released
from services.escalation.domain.rules import Rules, Standing
from services.escalation.domain.timer import Kind
from services.escalation.judging import SETTLE, Judge
from services.escalation.record import Made, record
from services.escalation.storage import alerts as stored
from services.escalation.storage import noise as storage
from services.escalation.storage import timers
from services.escalation.storage.changes import Changes, write
from services.escalation.storage.noise import ALERTS, Place, Review

BATCH = 500
LEASE = timedelta(seconds=10)
POLL = timedelta(milliseconds=500)
PAUSE = timedelta(milliseconds=20)
"""The shortest sleep: what is due and was not claimed is just in somebody else's hands."""

Decide: TypeAlias = Callable[[Judge, Alert, Standing, datetime], Change]
"""What becomes of an alert that is locked."""

_log = structlog.get_logger()
_judged = Counter("tocsin_alerts_judged_total", "Alerts judged anew, by what became of them.", ["outcome"])


class Judged(StrEnum):
    """What became of an alert that was judged anew."""

    QUIETED = "QUIETED"
    RELEASED = "RELEASED"
    STAYS = "STAYS"


class _Lost(Exception):
    """The claim on the review is lost: somebody has asked for it anew."""


class Reviews:
    """Does the reviews that are due, each by one replica, in batches that each are a transaction.

    A review that is cut off is begun again when its lease runs out: what is decided already stays as it is.
    """

    def __init__(
        self, *, db: Database, rules: Snapshot[Rules], clock: Clock, committed: Callable[[], None]
    ) -> None:
        """`committed` is called when something new is due, or to be published."""
        self._db = db
        self._rules = rules
        self._clock = clock
        self._committed = committed
        self._loop = DueLoop("reviews", self._work, poll=POLL)

    def wake(self) -> None:
        """Tells that a review may be due."""
        self._loop.wake()

    async def run(self) -> None:
        """Does reviews for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        now, claim = self._clock.now(), uuid7()
        async with self._db.raw() as conn:
            review = await storage.claim(conn, claim, now=now, until=now + LEASE)
            if review is None:
                at = await storage.next_at(conn)
                return None if at is None else max(at - self._clock.now(), PAUSE)
        crashpoint("review.after_claim")
        try:
            next_at = await _Reviewing(self._db, self._rules, self._clock, claim, self._committed).do(review)
        except _Lost:
            _log.info("review_begins_anew", subject=review.subject, reason="ASKED_AGAIN")
            return timedelta()
        settles = not review.settled and not review.subject.startswith(ALERTS)
        if settles:
            next_at = min(now + SETTLE, next_at or now + SETTLE)
        async with self._db.raw() as conn:
            await storage.finish(conn, review.subject, claim, next_at=next_at, settled=settles)
        return timedelta()


class _Reviewing:
    """One review that is claimed."""

    def __init__(
        self,
        db: Database,
        rules: Snapshot[Rules],
        clock: Clock,
        claim: UUID,
        committed: Callable[[], None],
    ) -> None:
        self._db = db
        self._snapshot = rules
        self._clock = clock
        self._claim = claim
        self._committed = committed
        self._subject = ""

    async def do(self, review: Review) -> datetime | None:
        """Judges the alerts that it is about; answers when it is due again by itself."""
        self._subject = review.subject
        if review.subject.startswith(ALERTS):
            await self._anew(storage.behind(UUID(review.subject.removeprefix(ALERTS))))
            return None
        await self._snapshot.freshen()
        rules, now = self._snapshot.value, self._clock.now()
        if review.subject.startswith(INTEGRATIONS):
            integration = rules.integration(review.subject.removeprefix(INTEGRATIONS))
            if integration is not None and integration.auto_close_after is not None:
                await self._cease(integration.integration_id, integration.auto_close_after)
            return None
        next_at = None
        if review.subject.startswith(SILENCES):
            silence = rules.silence(review.subject.removeprefix(SILENCES))
            if silence is not None and silence.in_force(now):
                await self._pause(silence.matchers)
            next_at = None if silence is None else silence.changes_at(now)
        elif review.subject.startswith(INHIBITIONS):
            inhibition = rules.inhibition(review.subject.removeprefix(INHIBITIONS))
            if inhibition is not None:
                await self._find_sources(inhibition)
                await self._pause(inhibition.target_matchers)
        await self._anew(storage.kept_by(review.subject))
        return next_at

    async def _pause(self, texts: Sequence[str]) -> None:
        """Goes through the open alerts that the matchers match, and quiets those that something keeps quiet now."""
        matchers = [parse(text) for text in texts]
        async for alerts in self._batches(storage.loud(matchers)):
            await self._judge(_that_match(alerts, matchers), _quieted)

    async def _anew(self, where: Sequence[ColumnElement[bool]]) -> None:
        """Goes through alerts that are kept quiet: those that nothing keeps quiet any more open."""
        async for alerts in self._batches(where):
            await self._judge(alerts, _released)

    async def _find_sources(self, rule: InhibitionRule) -> None:
        """Finds the alerts that inhibit others by the rule: those triggered since it came are known already."""
        matchers = [parse(text) for text in rule.source_matchers]
        targets = [parse(text) for text in rule.target_matchers]
        async for alerts in self._batches(storage.live()):
            found = []
            for alert in _that_match(alerts, matchers):
                seen = alert.facts().seen()
                also = [rule] if all_match(targets, seen) else []
                found += [(alert.alert_id, side) for side in sides([rule], also, seen)[0]]
            async with self._db.begin() as conn:
                await storage.add_sources(conn, found)

    async def _cease(self, integration_id: str, after: timedelta) -> None:
        """Has the alerts of an integration that are there already close when they are not triggered for so long."""
        async for alerts in self._batches(storage.come_by(integration_id)):
            async with self._db.begin() as conn:
                locked = await stored.lock(conn, [alert.alert_id for alert in alerts])
                armed = await timers.of_kind(conn, locked.keys(), Kind.CLOSE)
                sooner = [to_cease(alert, armed.get(one), after) for one, alert in locked.items()]
                await write(conn, Changes(timers=[timer for timer in sooner if timer is not None]))
            self._committed()

    async def _batches(self, where: Sequence[ColumnElement[bool]]) -> AsyncIterator[Sequence[Alert]]:
        """The alerts that meet the conditions, the oldest first; raises _Lost when the claim is lost meanwhile."""
        place: Place | None = None
        while True:
            async with self._db.connect() as conn:
                alerts = await storage.alerts_after(conn, place, where, BATCH)
            if alerts:
                yield alerts
            if len(alerts) < BATCH:
                return
            place = Place(alerts[-1].opened_at, alerts[-1].alert_id)
            async with self._db.raw() as conn:
                if not await storage.extend(conn, self._subject, self._claim, self._clock.now() + LEASE):
                    raise _Lost

    async def _judge(self, alerts: Sequence[Alert], decide: Decide) -> None:
        """Decides on alerts under locks, the oldest first, and writes what has changed."""
        if not alerts:
            return
        now = self._clock.now()
        async with self._db.begin() as conn:
            made = await _decided(conn, self._snapshot.value, alerts, decide, now)
            crashpoint("review.before_commit")
        crashpoint("review.after_commit")
        if made:
            self._committed()
        outcomes = [Judged.RELEASED if one.alert.state is State.OPEN else Judged.QUIETED for one in made]
        for outcome in Judged:
            count = len(alerts) - len(made) if outcome is Judged.STAYS else outcomes.count(outcome)
            _judged.labels(outcome).inc(count)
        if made:
            _log.info(
                "alerts_judged",
                subject=self._subject,
                quieted=outcomes.count(Judged.QUIETED),
                released=outcomes.count(Judged.RELEASED),
                alert_id=[str(one.alert.alert_id) for one in made[:10]],
            )


async def _decided(
    conn: AsyncConnection, rules: Rules, alerts: Sequence[Alert], decide: Decide, now: datetime
) -> list[Change]:
    """Decides on alerts as they are under their locks, and writes it; answers the changes."""
    standings = {alert.alert_id: rules.standing(alert.facts(), now) for alert in alerts}
    judge = Judge(conn, now)
    locked = await judge.lock(standings.values(), ids=standings.keys())
    changes = []
    for alert in alerts:
        change = decide(judge, locked[alert.alert_id], standings[alert.alert_id], now)
        if change.events:
            judge.alerts[alert.alert_id] = change.alert
            changes.append(change)
    await record(conn, [Made(change) for change in changes], now, reviews=await judge.write())
    return changes


def _quieted(judge: Judge, alert: Alert, standing: Standing, now: datetime) -> Change:
    """An open alert; groups do not matter to one that has opened already."""
    quiet = judge.overruled(standing) if alert.state is State.OPEN else None
    return Change(alert) if quiet is None else quieted(alert, quiet, now)


def _released(judge: Judge, alert: Alert, standing: Standing, now: datetime) -> Change:
    """One that is kept quiet, unless somebody has taken or closed it meanwhile."""
    if alert.state is not State.SUPPRESSED:
        return Change(alert)
    quiet = judge.quiet(standing, alert)
    if quiet is not None:
        return quieted(alert, quiet, now)
    change = released(alert, now)
    judge.took(standing, change.alert)
    return change


def _that_match(alerts: Sequence[Alert], matchers: Sequence[Matcher]) -> list[Alert]:
    return [alert for alert in alerts if all_match(matchers, alert.facts().seen())]
