"""The whole plan of an escalation when nobody acknowledges: every page, with the handovers on the way."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from chassis.clock import Clock
from chassis.db import Database
from chassis.ids import uuid7
from services.escalation.clients import Roster
from services.escalation.coverage import Coverage
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Report
from services.escalation.domain.news import Arrival
from services.escalation.domain.outlook import (
    Outlook,
    Planned,
    arrivals,
    asked,
    foreseen,
    longest,
    watched,
)
from services.escalation.domain.policy import EscalationPolicy
from services.escalation.steps import Steps
from services.escalation.storage import alerts, executions, timers
from services.escalation.storage import turns as kept

PAGES = 500
HORIZON = timedelta(days=31)
"""A plan is cut after so many pages, and so long after its start."""
SCHEDULES = 8
"""Schedules that roster is asked to preview at the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The pages by time; `exhausted_at` when the escalation ends in them, `cut_at` where it goes on beyond."""

    policy_id: str
    start: datetime
    pages: Sequence[Planned]
    exhausted_at: datetime | None
    cut_at: datetime | None


class Planning:
    """Follows escalations in thought; changes nothing. Raises Unavailable while roster is away."""

    def __init__(
        self, *, db: Database, steps: Steps, coverage: Coverage, roster: Roster, clock: Clock
    ) -> None:
        self._db = db
        self._steps = steps
        self._coverage = coverage
        self._roster = roster
        self._clock = clock

    async def opening(self, report: Report, policy_id: str, start: datetime | None) -> Plan:
        """The plan of an alert that opens at `start`, or now, and follows this policy."""
        policy = await self._steps.policy(policy_id)
        start = start or self._clock.now()
        change = verbs.opened(report, alert_id=uuid7(), policy_id=policy.policy_id, quiet=None, now=start)
        assert change.timer is not None
        async with self._db.connect() as conn:
            turns = await kept.every(conn, [policy.policy_id])
        outlook = Outlook(change.alert, {change.timer.kind: change.timer}, turns)
        return await self._follow(policy, outlook, start)

    async def rest(self, alert_id: UUID) -> Plan:
        """What is left of the plan of an alert, as it is now. Raises NotFound."""
        async with self._db.connect() as conn:
            alert = await alerts.get(conn, alert_id)
            armed = await timers.of_alert(conn, alert_id)
            turns = await kept.every(conn, [alert.policy_id])
            last = await executions.last_targets(conn, alert_id)
        outlook = Outlook(alert, {timer.kind: timer for timer in armed}, turns, last)
        policy = await self._steps.policy(alert.policy_id)
        return await self._follow(policy, outlook, self._clock.now())

    async def _follow(self, policy: EscalationPolicy, outlook: Outlook, start: datetime) -> Plan:
        waits = (outlook.timer.due_at - start) if outlook.timer else timedelta()
        until = start + min(HORIZON, max(waits, timedelta()) + longest(policy))
        duties, at, passed = _Duties(self._roster, start, until), start, _Place(start, "\uffff")
        while (timer := outlook.timer) is not None:
            due = max(timer.due_at, at)
            coming = await duties.next(watched(policy, outlook), passed, at)
            if coming is not None and coming.at < due and (armed := outlook.handover(coming)) is not None:
                timer, due, passed = armed, coming.at, _Place(coming.at, coming.schedule_id)
            if due > start + HORIZON or len(outlook.steps) >= PAGES:
                return Plan(policy.policy_id, start, outlook.steps, None, due)
            covers = await self._coverage.foreseen(asked(policy, outlook, timer, due), due)
            outlook, at = foreseen(policy, outlook, timer, covers, due), due
        return Plan(policy.policy_id, start, outlook.steps, outlook.alert.exhausted_at, None)


class _Place(NamedTuple):
    """A place in the order of handovers: an instant, and of several at once the schedule."""

    at: datetime
    schedule_id: str


class _Duties:
    """The handovers of schedules in a window, asked of roster once for each schedule that comes to matter."""

    def __init__(self, roster: Roster, start: datetime, until: datetime) -> None:
        self._roster = roster
        self._start = start
        self._until = until
        self._known: dict[str, list[Arrival]] = {}
        self._all: Collection[str] | None = None
        self._asking = asyncio.Semaphore(SCHEDULES)

    async def next(
        self, schedule_ids: Collection[str] | None, passed: _Place, at: datetime
    ) -> Arrival | None:
        """The first handover at or after `at` of these schedules, or of all, that comes after `passed`."""
        if schedule_ids is None:
            self._all = schedule_ids = self._all or await self._roster.schedule_ids()
        await asyncio.gather(*(self._learn(one) for one in schedule_ids if one not in self._known))
        found = (
            arrival
            for one in schedule_ids
            for arrival in self._known[one]
            if arrival.at >= at and (arrival.at, arrival.schedule_id) > passed
        )
        return min(found, key=lambda arrival: arrival[:2][::-1], default=None)

    async def _learn(self, schedule_id: str) -> None:
        async with self._asking:
            duties = await self._roster.duties(schedule_id, self._start, self._until)
        self._known[schedule_id] = arrivals(schedule_id, duties, self._start)
