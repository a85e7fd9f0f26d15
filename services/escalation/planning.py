"""The whole plan of an escalation when nobody acknowledges: every page, with the handovers on the way."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Invalid
from chassis.ids import uuid7
from chassis.snapshot import Snapshot
from services.escalation.clients import Roster
from services.escalation.coverage import Coverage
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Quiet, Report
from services.escalation.domain.news import Arrival
from services.escalation.domain.outlook import (
    Outlook,
    Planned,
    QuietTime,
    arrivals,
    asked,
    foreseen,
    longest,
    reviewed,
    watched,
)
from services.escalation.domain.policy import EscalationPolicy
from services.escalation.domain.rules import Rules, Standing
from services.escalation.domain.timer import Kind, Timer
from services.escalation.judging import Judge
from services.escalation.storage import alerts, executions
from services.escalation.storage import timers as stored
from services.escalation.storage import turns as kept

PAGES = 500
HORIZON = timedelta(days=31)
"""A plan is cut after so many pages, and so long after its start."""
SCHEDULES = 8
"""Schedules that roster is asked to preview at the same time."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The pages by time, and when what keeps the alert quiet.

    `exhausted_at` when the escalation ends in them, `cut_at` where it goes on beyond.
    """

    policy_id: str
    start: datetime
    pages: Sequence[Planned]
    quiet_times: Sequence[QuietTime]
    exhausted_at: datetime | None
    cut_at: datetime | None


class Planning:
    """Follows escalations in thought; changes nothing. Raises Unavailable while roster is away."""

    def __init__(
        self, *, db: Database, rules: Snapshot[Rules], coverage: Coverage, roster: Roster, clock: Clock
    ) -> None:
        self._db = db
        self._rules = rules
        self._coverage = coverage
        self._roster = roster
        self._clock = clock

    async def opening(self, report: Report, policy_id: str, start: datetime | None) -> Plan:
        """The plan of an alert that opens at `start`, or now, and follows the policy named, else the one that it leads to.

        Raises Invalid for a policy that there is not.
        """
        rules = await self._fresh()
        if policy_id and rules.policy(policy_id) is None:
            raise Invalid.field("policy_id", f"there is no policy {policy_id!r}")
        now, facts = self._clock.now(), report.facts()
        policy = rules.followed(rules.policy_for(facts, named=policy_id).policy_id)
        at = start or now
        async with self._db.connect() as conn:
            turns = await kept.every(conn, [policy.policy_id])
            quiet = await _quiet(conn, rules.standing(facts, at), at, now)
        change = verbs.opened(report, alert_id=uuid7(), policy_id=policy.policy_id, quiet=quiet, now=at)
        timers = {} if change.timer is None else {change.timer.kind: change.timer}
        return await self._follow(policy, Outlook(change.alert, timers, turns, rules.silences_of(facts)), at)

    async def rest(self, alert_id: UUID) -> Plan:
        """What is left of the plan of an alert, as it is now. Raises NotFound."""
        rules = await self._fresh()
        async with self._db.connect() as conn:
            alert = await alerts.get(conn, alert_id)
            armed = await stored.of_alert(conn, alert_id)
            turns = await kept.every(conn, [alert.policy_id])
            last = await executions.last_targets(conn, alert_id)
        silences = rules.silences_of(alert.facts())
        timers: dict[Kind, Timer] = {one.kind: one for one in armed if one.kind is not Kind.CLOSE}
        outlook = Outlook(alert, timers, turns, silences, last)
        return await self._follow(rules.followed(alert.policy_id), outlook, self._clock.now())

    async def _fresh(self) -> Rules:
        await self._rules.freshen()
        return self._rules.value

    async def _follow(self, policy: EscalationPolicy, outlook: Outlook, start: datetime) -> Plan:
        duties, passed = _Duties(self._roster, start, _until(policy, outlook, start)), _Place(start, "\uffff")
        at, outlook = start, reviewed(outlook, start)
        while (following := outlook.following(at)) is not None:
            due, timer = following
            coming = await duties.next(watched(policy, outlook), passed, at)
            if coming is not None and coming.at < due and (armed := outlook.handover(coming)) is not None:
                timer, due, passed = armed, coming.at, _Place(coming.at, coming.schedule_id)
            if due > start + HORIZON or len(outlook.steps) >= PAGES:
                return Plan(policy.policy_id, start, outlook.steps, outlook.quiet_times, None, due)
            if timer is None:
                outlook = reviewed(outlook, due)
            else:
                covers = await self._coverage.foreseen(asked(policy, outlook, timer, due), due)
                outlook = foreseen(policy, outlook, timer, covers, due)
            at = due
        exhausted_at = outlook.alert.exhausted_at
        return Plan(policy.policy_id, start, outlook.steps, outlook.quiet_times, exhausted_at, None)


async def _quiet(conn: AsyncConnection, standing: Standing, at: datetime, now: datetime) -> Quiet | None:
    """What would keep an alert quiet that opens at an instant; of one to come only silences are known."""
    if at > now:
        return standing.silence
    judge = Judge(conn, at)
    await judge.presume(standing)
    return judge.quiet(standing)


def _until(policy: EscalationPolicy, outlook: Outlook, start: datetime) -> datetime:
    """When the plan is over at the latest; silences may put off anything."""
    if outlook.silences:
        return start + HORIZON
    waits = (outlook.timer.due_at - start) if outlook.timer else timedelta()
    return start + min(HORIZON, max(waits, timedelta()) + longest(policy))


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
