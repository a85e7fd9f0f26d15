"""Tells of handovers when they happen and of gaps before they do: once each, whichever replica gets to it first."""

from collections.abc import Sequence
from datetime import timedelta

from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import outbox
from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.loop import DueLoop
from chassis.wake import Wakeups
from services.roster.convert import events
from services.roster.domain.coverage import Plan
from services.roster.domain.handover import Watch, look
from services.roster.memory import Memory
from services.roster.storage import rosters, watches

OUTBOX = "roster_outbox"
"""The channel that wakes the relay of whichever replica leads."""
AT_ONCE = 100
POLL = timedelta(milliseconds=500)

_told = Counter("tocsin_roster_told_total", "Handovers and gaps told of.", ["kind"])


class Engine:
    """The loop over due watches."""

    def __init__(
        self, *, db: Database, memory: Memory, wakeups: Wakeups, clock: Clock, gap_ahead: timedelta
    ) -> None:
        """Gaps are told of when they begin within `gap_ahead`."""
        self._db = db
        self._wakeups = wakeups
        self._memory = memory
        self._clock = clock
        self._gap_ahead = gap_ahead
        self._loop = DueLoop("handovers", self._work, poll=POLL)

    def wake(self) -> None:
        """Tells that a watch may have become due."""
        self._loop.wake()

    async def run(self) -> None:
        """Looks for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        now = self._clock.now()
        async with self._db.begin() as conn:
            claimed = await watches.claim_due(conn, now, AT_ONCE)
            plans = await self._plans(conn, claimed)
            told = [await self._look(conn, watch, plans[watch.schedule_id]) for watch in claimed]
            crashpoint("handovers.before_commit")
        if any(told):
            await self._wakeups.notify(OUTBOX)
        if len(claimed) == AT_ONCE:
            return timedelta()
        async with self._db.connect() as conn:
            return await watches.due_in(conn, self._clock.now())

    async def _look(self, conn: AsyncConnection, watch: Watch, plan: Plan) -> int:
        """Tells what there is to tell of one schedule; how much that was."""
        now = self._clock.now()
        found = look(watch, plan, now, self._gap_ahead)
        await watches.save(conn, found.watch)
        told = [events.handover(watch.schedule_id, handover) for handover in found.handovers]
        told += [events.gap_ahead(watch.schedule_id, gap, now) for gap in found.gaps]
        await outbox.append(conn, told)
        _told.labels("handover").inc(len(found.handovers))
        _told.labels("gap_ahead").inc(len(found.gaps))
        return len(told)

    async def _plans(self, conn: AsyncConnection, claimed: Sequence[Watch]) -> dict[str, Plan]:
        """The plans as they are now: those in memory, read again where they have changed since."""
        revisions = await watches.revisions(conn, claimed)
        timelines = self._memory.roster.timelines
        known = {
            name: timelines[name].plan
            for name, revision in revisions.items()
            if name in timelines and timelines[name].plan.revision == revision
        }
        read = await rosters.plans(conn, [name for name in revisions if name not in known])
        return known | {plan.schedule.schedule_id: plan for plan in read}
