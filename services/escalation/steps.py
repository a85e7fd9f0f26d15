"""Takes the steps of escalations that are due: each once, whichever replica takes it."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.ids import uuid7
from chassis.snapshot import Snapshot
from services.escalation.coverage import Coverage
from services.escalation.domain.alert import Alert, Execution, State
from services.escalation.domain.escalation import Cover, Decision, Outcome, decide, hushed, targets
from services.escalation.domain.policy import BUILT_IN, DEFAULT, EscalationPolicy
from services.escalation.domain.rules import Rules
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.judging import overruled
from services.escalation.record import Made, record
from services.escalation.storage import timers

BATCH = 200
LEASE = timedelta(seconds=4)
RETRY = timedelta(seconds=1)
"""After how long a step is tried again that nobody can be found for while roster is away."""
UNEXPECTED = frozenset({Outcome.TOLD_STALE, Outcome.NOBODY, Outcome.EXHAUSTED, Outcome.ROSTER_AWAY})

_log = structlog.get_logger()
_steps = Counter("tocsin_escalation_steps_total", "Timers decided, by what became of them.", ["outcome"])
_late = Histogram(
    "tocsin_escalation_late_seconds",
    "From the instant at which a timer was due to its decision.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 30, 120),
)


@dataclass(frozen=True, slots=True)
class Decided:
    """A timer and what was decided about it."""

    timer: Timer
    decision: Decision


class Steps:
    """Claims timers that are due, asks who is on call, decides, and writes; no transaction is open in between.

    What is decided is written only under locks, and only where the timer is still as it was claimed and the alert
    still open: a step is never taken after an acknowledgement was committed.
    """

    def __init__(
        self,
        *,
        db: Database,
        rules: Snapshot[Rules],
        coverage: Coverage,
        clock: Clock,
        committed: Callable[[], None],
    ) -> None:
        """`committed` is called when there are new pages and events."""
        self._db = db
        self._rules = rules
        self._coverage = coverage
        self._clock = clock
        self._committed = committed
        self._taking = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether steps are being taken just now."""
        return self._taking.locked()

    async def evaluate(self, alert_ids: Collection[UUID] = ()) -> list[Execution]:
        """Takes at once every step that is due, of these alerts or of all, and answers the steps.

        A step that this process is just taking is waited for, and not among them.
        """
        taken: list[Execution] = []
        while (found := await self.take(alert_ids)) is not None:
            taken += [one.decision.execution for one in found if one.decision.execution is not None]
        return taken

    async def take(self, alert_ids: Collection[UUID] = ()) -> list[Decided] | None:
        """Takes one batch of steps; None when nothing is due. One batch at a time in this process."""
        async with self._taking:
            return await self._take_batch(alert_ids)

    async def _take_batch(self, alert_ids: Collection[UUID]) -> list[Decided] | None:
        now, claim = self._clock.now(), uuid7()
        async with self._db.raw() as conn:
            due = await timers.claim(conn, claim, now=now, until=now + LEASE, limit=BATCH, ids=alert_ids)
        if not due:
            return None
        crashpoint("engine.after_claim")
        policies = {one.policy_id: await self.policy(one.policy_id) for one in due}
        wanted = {target for one in due for target in targets(policies[one.policy_id], one.timer)}
        covers = await self._coverage.of(wanted, now)
        async with self._db.begin() as conn:
            claimed = await timers.lock_claimed(conn, claim, {one.timer.alert_id for one in due})
            decided = await self._decide(conn, claimed, policies, covers)
        crashpoint("engine.after_commit")
        self._committed()
        for one in decided:
            _tell(one, now)
        return decided

    async def policy(self, policy_id: str) -> EscalationPolicy:
        """The policy with this id as it is now; the policy `default` where it is gone."""
        if self._rules.value.policy(policy_id) is None:
            await self._rules.refresh()  # another replica may have made it a moment ago
        rules = self._rules.value
        return rules.policy(policy_id) or rules.policy(DEFAULT) or BUILT_IN

    async def _decide(
        self,
        conn: AsyncConnection,
        claimed: Sequence[tuple[Timer, Alert]],
        policies: Mapping[str, EscalationPolicy],
        covers: Mapping[str, Cover],
    ) -> list[Decided]:
        now, rules = self._clock.now(), self._rules.value
        waiting = [alert for timer, alert in claimed if _by_itself(timer, alert)]
        quiet = await overruled(conn, rules, waiting, now)
        decided: list[Decided] = []
        latest: dict[UUID, Alert] = {}
        for timer, locked in claimed:
            alert = latest.get(locked.alert_id, locked)
            policy, integration = policies[alert.policy_id], rules.integration(alert.integration_id)
            if _by_itself(timer, alert) and alert.alert_id in quiet:
                decision = hushed(alert, quiet[alert.alert_id], now)
            else:
                after = integration.auto_close_after if integration else None
                decision = decide(
                    policy, alert, timer, covers, now, execution_id=uuid7(), auto_close_after=after
                )
            latest[alert.alert_id] = decision.change.alert
            decided.append(Decided(timer, decision))
        later = [one.timer for one in decided if one.decision.outcome is Outcome.ROSTER_AWAY]
        await timers.postpone(conn, later, now + RETRY)
        done = [one for one in decided if one.decision.outcome is not Outcome.ROSTER_AWAY]
        made = [Made(one.decision.change) for one in done]
        await record(conn, made, now, used=[one.timer for one in done])
        return decided


def _by_itself(timer: Timer, alert: Alert) -> bool:
    """Whether it is a step that nobody has asked for: silences and inhibition do not hold up people."""
    return timer.kind is Kind.ESCALATE and timer.reason is not Reason.MANUAL and alert.state is State.OPEN


def _tell(one: Decided, now: datetime) -> None:
    timer, outcome, execution = one.timer, one.decision.outcome, one.decision.execution
    _steps.labels(outcome).inc()
    _late.observe(max(0.0, (now - timer.due_at).total_seconds()))
    log = _log.warning if outcome in UNEXPECTED else _log.info
    log(
        "escalation_step",
        alert_id=str(timer.alert_id),
        outcome=outcome,
        level=execution.level if execution else timer.level,
        reason=timer.reason,
        recipients=execution.recipients if execution else (),
    )
