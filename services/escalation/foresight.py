"""Which steps would be taken by an instant, found by the same decisions and without taking any."""

from collections.abc import Collection
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias
from uuid import UUID

from chassis.clock import Clock
from chassis.db import Database
from chassis.snapshot import Snapshot
from services.escalation.coverage import Coverage
from services.escalation.domain.alert import Alert, Execution
from services.escalation.domain.course import targets
from services.escalation.domain.escalation import Known, by_itself, decide, hushed
from services.escalation.domain.rules import Rules
from services.escalation.domain.timer import Timer
from services.escalation.domain.turns import Turn
from services.escalation.steps import Steps
from services.escalation.storage import timers
from services.escalation.storage import turns as kept

ALERTS = 1_000
STEPS = 10_000
"""How many alerts are looked at, and how many steps foreseen: those that come first."""

NOT_YET = UUID(int=0)

Waiting: TypeAlias = tuple[datetime, Timer, Alert]
"""A timer, its alert as it will be, and the instant at which the engine will decide."""


class Foresight:
    """Runs escalations in thought."""

    def __init__(
        self, *, db: Database, rules: Snapshot[Rules], steps: Steps, coverage: Coverage, clock: Clock
    ) -> None:
        self._db = db
        self._rules = rules
        self._steps = steps
        self._coverage = coverage
        self._clock = clock

    async def steps(self, alert_ids: Collection[UUID], as_of: datetime | None) -> list[Execution]:
        """The steps due by `as_of`, or by now, when nobody acknowledges, of these alerts or of all, by time.

        Steps that a silence will hold up are not among them, nor those that follow when it ends.
        Raises Unavailable while roster is away.
        """
        now = self._clock.now()
        as_of = as_of or now
        async with self._db.connect() as conn:
            due = await timers.due_until(conn, as_of, ids=alert_ids, limit=ALERTS)
            turns = await kept.every(conn, {alert.policy_id for _, alert in due})
        waiting = [(min(as_of, max(timer.due_at, now)), timer, alert) for timer, alert in due]
        found: list[Execution] = []
        while waiting and len(found) < STEPS:
            following: list[Waiting] = []
            for at, together in groupby(sorted(waiting, key=itemgetter(0)), key=itemgetter(0)):
                steps, later = await self._at(at, list(together), turns)
                found += steps
                following += [one for one in later if one[0] <= as_of]
            waiting = following
        return sorted(found, key=lambda step: (step.at, step.alert_id, step.level))[:STEPS]

    async def _at(
        self, at: datetime, together: list[Waiting], turns: dict[tuple[str, int], Turn]
    ) -> tuple[list[Execution], list[Waiting]]:
        policies = {alert.policy_id: await self._steps.policy(alert.policy_id) for _, _, alert in together}
        wanted = {
            one
            for _, timer, alert in together
            for one in targets(policies[alert.policy_id], alert.severity, timer, at)
        }
        known = Known(await self._coverage.foreseen(wanted, at), turns)
        steps: list[Execution] = []
        later: list[Waiting] = []
        for _, timer, alert in together:
            silence = self._rules.value.silenced_by(alert.facts(), at) if by_itself(timer, alert) else None
            if silence is not None:
                decision = hushed(alert, silence.quiet, at)
            else:
                decision = decide(policies[alert.policy_id], alert, timer, known, at, execution_id=NOT_YET)
            if decision.execution is not None:
                steps.append(decision.execution)
            if (turn := decision.turn) is not None:
                turns[turn.policy_id, turn.level] = turn
            if (following := decision.change.timer) is not None:
                later.append((following.due_at, following, decision.change.alert))
        return steps, later
