"""Takes the steps of escalations that are due: each once, whichever replica takes it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter, Histogram

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import DomainError, TimedOut
from chassis.ids import uuid7
from chassis.loop import reason_of
from chassis.snapshot import Snapshot
from services.escalation.coverage import Coverage
from services.escalation.domain.alert import Alert, Execution, Quiet
from services.escalation.domain.course import targets, turns
from services.escalation.domain.escalation import Cover, Decision, Known, Outcome, by_itself, decide, hushed
from services.escalation.domain.policy import EscalationPolicy
from services.escalation.domain.rules import Rules
from services.escalation.domain.timer import Kind, Timer
from services.escalation.judging import overruled
from services.escalation.record import Made, record
from services.escalation.storage import executions, timers
from services.escalation.storage import turns as kept
from services.escalation.storage.timers import Due

BATCH = 200
LEASE = timedelta(seconds=4)
RETRY = timedelta(seconds=1)
"""After how long a step is tried again that nobody can be found for while roster is away."""
MEND = timedelta(seconds=30)
"""After how long a step is tried again whose decision failed: everybody else's goes on meanwhile."""
PATIENCE = timedelta(milliseconds=250)
"""How long a batch waits for roster together; then each policy waits for itself."""
SLOW = 30.0
"""For how many seconds a policy that roster was slow about is asked about apart from the others."""
UNEXPECTED = frozenset(
    {
        Outcome.TOLD_STALE,
        Outcome.NOBODY,
        Outcome.CATCH_ALL,
        Outcome.EXHAUSTED,
        Outcome.UNTOLD,
        Outcome.ROSTER_AWAY,
    }
)

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


@dataclass(frozen=True, slots=True)
class _Rules:
    """What decides about timers: policies, integrations, and what keeps which alerts quiet by now."""

    all: Rules
    policies: Mapping[str, EscalationPolicy]
    quiet: Mapping[UUID, Quiet]

    def decide(self, alert: Alert, timer: Timer, known: Known, now: datetime) -> Decision:
        """What is done about a timer that is due."""
        if by_itself(timer, alert) and alert.alert_id in self.quiet:
            return hushed(alert, self.quiet[alert.alert_id], now)
        integration = self.all.integration(alert.integration_id)
        return decide(
            self.policies[alert.policy_id],
            alert,
            timer,
            known,
            now,
            execution_id=uuid7(),
            auto_close_after=integration.auto_close_after if integration else None,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """Timers that were claimed together at `now`."""

    claim: UUID
    now: datetime
    due: Sequence[Due]


class Steps:
    """Claims timers that are due, asks who is on call, decides, and writes; no transaction is open in between.

    What is decided is written only under locks, and only where the timer is still as it was claimed and the alert
    still open: a step is never taken after an acknowledgement was committed. A policy that roster is slow about, and a
    timer whose decision fails, delay nobody else.
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
        self._under_way: dict[UUID, frozenset[UUID]] = {}
        self._asked_for: dict[UUID, frozenset[UUID]] = {}
        self._claiming = asyncio.Lock()
        self._ended = asyncio.Condition()
        self._slow: dict[str, float] = {}
        self._behind = False  # more was due than was claimed: it may be one team's storm

    @property
    def busy(self) -> bool:
        """Whether steps are being taken just now."""
        return bool(self._under_way)

    async def evaluate(self, alert_ids: Collection[UUID] = ()) -> list[Execution]:
        """Takes at once every step that is due, of these alerts or of all, and answers the steps.

        A step that this process is just taking is waited for, and not among them.
        """
        taken: list[Execution] = []
        self._asked_for[run := uuid7()] = frozenset(alert_ids)
        try:
            while True:
                async with self._ended:
                    await self._ended.wait_for(lambda: not self._taking(alert_ids))
                batch = await self._claim(alert_ids)
                if batch is not None:
                    decided = await self.carry_out(batch)
                    taken += [one.decision.execution for one in decided if one.decision.execution is not None]
                elif not self._taking(alert_ids):
                    return taken
        finally:
            del self._asked_for[run]

    def _taking(self, alert_ids: Collection[UUID]) -> bool:
        if not alert_ids:
            return self.busy
        return any(not ids.isdisjoint(alert_ids) for ids in self._under_way.values())

    async def claim(self) -> Batch | None:
        """Claims timers that are due; None when there are none. `carry_out` must follow.

        What somebody has asked to be evaluated at once is left to that call, which answers the steps.
        """
        asked_for = self._asked_for.values()
        if frozenset() in asked_for:
            return None
        return await self._claim(but=frozenset[UUID]().union(*asked_for))

    async def _claim(self, alert_ids: Collection[UUID] = (), *, but: Collection[UUID] = ()) -> Batch | None:
        async with self._claiming:  # whoever claims next knows what was claimed before
            now, claim = self._clock.now(), uuid7()
            async with self._db.raw() as conn:
                due = await timers.claim(
                    conn,
                    claim,
                    now=now,
                    until=now + LEASE,
                    limit=BATCH,
                    ids=alert_ids,
                    but=but,
                    fair=self._behind and not alert_ids,
                )
            if not alert_ids:
                self._behind = len(due) == BATCH
            if not due:
                return None
            crashpoint("engine.after_claim")
            self._under_way[claim] = frozenset(one.timer.alert_id for one in due)
            return Batch(claim, now, due)

    async def carry_out(self, batch: Batch) -> list[Decided]:
        """Decides what was claimed; those that roster answers for at once do not wait for the others."""
        try:
            policies = {one.policy_id: await self.policy(one.policy_id) for one in batch.due}
            together, apart = self._grouped(batch.due)
            groups = [self._group(batch, policies, [due]) for due in apart.values()]
            return await _all([self._quickly(batch, policies, together), *groups])
        finally:
            del self._under_way[batch.claim]
            async with self._ended:
                self._ended.notify_all()

    def _grouped(self, due: Sequence[Due]) -> tuple[dict[str, list[Due]], dict[str, list[Due]]]:
        """By policy: what can be asked for together, and what roster was slow about lately."""
        now = time.monotonic()
        self._slow = {policy_id: until for policy_id, until in self._slow.items() if until > now}
        together: dict[str, list[Due]] = {}
        apart: dict[str, list[Due]] = {}
        for one in due:
            (apart if one.policy_id in self._slow else together).setdefault(one.policy_id, []).append(one)
        return together, apart

    async def _quickly(
        self, batch: Batch, policies: Mapping[str, EscalationPolicy], groups: Mapping[str, list[Due]]
    ) -> list[Decided]:
        """All groups by one question to roster, or each by its own when that is not answered soon."""
        try:
            return await self._group(batch, policies, list(groups.values()), within=PATIENCE)
        except TimedOut:
            return await _all([self._group(batch, policies, [due]) for due in groups.values()])

    async def _group(
        self,
        batch: Batch,
        policies: Mapping[str, EscalationPolicy],
        groups: Sequence[Sequence[Due]],
        *,
        within: timedelta | None = None,
    ) -> list[Decided]:
        """What one question to roster decides. With `within`, raises TimedOut when it is not answered in that time."""
        due = [one for group in groups for one in group]
        wanted = {
            target
            for one in due
            for target in targets(policies[one.policy_id], one.severity, one.timer, batch.now)
        }
        if within is not None:
            covers = await self._coverage.of(wanted, batch.now, within=within)
        else:
            began = time.monotonic()
            covers = await self._coverage.of(wanted, batch.now)
            if (ended := time.monotonic()) - began > PATIENCE.total_seconds():
                self._slow |= {one.policy_id: ended + SLOW for one in due}
        return await self._write(batch, policies, due, covers)

    async def _write(
        self,
        batch: Batch,
        policies: Mapping[str, EscalationPolicy],
        due: Sequence[Due],
        covers: Mapping[str, Cover],
    ) -> list[Decided]:
        """Decides and commits; what fails is halved until the timers at fault stand alone and are put off."""
        if not due:
            return []
        try:
            decided = await self._decide(batch, policies, due, covers)
        except DomainError:
            raise
        except Exception as error:
            if half := len(due) // 2:
                first = await self._write(batch, policies, due[:half], covers)
                return first + await self._write(batch, policies, due[half:], covers)
            await self._put_off(due[0].timer, error)
            return []
        crashpoint("engine.after_commit")
        self._committed()
        now = self._clock.now()
        for one in decided:
            _tell(one, now)
        return decided

    async def _put_off(self, timer: Timer, error: Exception) -> None:
        _steps.labels("FAILED").inc()
        _log.error(
            "escalation_step_failed",
            alert_id=str(timer.alert_id),
            kind=timer.kind,
            reason=reason_of(error),
            exc_info=error,
        )
        async with self._db.begin() as conn:
            await timers.postpone(conn, [timer], self._clock.now() + MEND)

    async def policy(self, policy_id: str) -> EscalationPolicy:
        """The policy with this id as it is now; the policy `default` where it is gone."""
        if self._rules.value.policy(policy_id) is None:
            await self._rules.refresh()  # another replica may have made it a moment ago
        return self._rules.value.followed(policy_id)

    async def _decide(
        self,
        batch: Batch,
        policies: Mapping[str, EscalationPolicy],
        due: Sequence[Due],
        covers: Mapping[str, Cover],
    ) -> list[Decided]:
        now, rules = batch.now, self._rules.value
        async with self._db.begin() as conn:
            claimed = await timers.lock_claimed(conn, batch.claim, {one.timer.alert_id for one in due})
            quiet, reviews = await overruled(conn, rules, [a for t, a in claimed if by_itself(t, a)], now)
            known = Known(
                covers,
                await kept.lock(conn, _turns_of(due, policies, now)),
                await executions.told_since(conn, [t for t, _ in claimed if t.kind is Kind.HANDOVER]),
            )
            decided = _decided(claimed, _Rules(rules, policies, quiet), known, now)
            later = [one.timer for one in decided if one.decision.outcome is Outcome.ROSTER_AWAY]
            await timers.postpone(conn, later, now + RETRY)
            done = [one for one in decided if one.decision.outcome is not Outcome.ROSTER_AWAY]
            await record(
                conn,
                [Made(one.decision.change) for one in done],
                now,
                used=[one.timer for one in done],
                turns={turn[:2]: turn for one in decided if (turn := one.decision.turn)}.values(),
                reviews=reviews,
            )
            crashpoint("engine.before_commit")
        return decided


async def _all(groups: Sequence[Awaitable[list[Decided]]]) -> list[Decided]:
    """What all of them decide; the error of one is raised when all have ended."""
    found = await asyncio.gather(*groups, return_exceptions=True)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return [each for one in found if not isinstance(one, BaseException) for each in one]


def _decided(
    claimed: Sequence[tuple[Timer, Alert]], rules: _Rules, known: Known, now: datetime
) -> list[Decided]:
    """Decides one after the other, each knowing what those before it did."""
    decided: list[Decided] = []
    latest = {alert.alert_id: alert for _, alert in claimed}
    turn_of, told_since = dict(known.turns), dict(known.told_since)
    known = Known(known.covers, turn_of, told_since)
    for timer, locked in claimed:
        alert = latest[locked.alert_id]
        decision = rules.decide(alert, timer, known, now)
        latest[alert.alert_id] = decision.change.alert
        if (turn := decision.turn) is not None:
            turn_of[turn.policy_id, turn.level] = turn
        if (execution := decision.execution) is not None:
            told = told_since.get(alert.alert_id, frozenset())
            told_since[alert.alert_id] = told.union(execution.recipients)
        decided.append(Decided(timer, decision))
    return decided


def _turns_of(
    due: Sequence[Due], policies: Mapping[str, EscalationPolicy], now: datetime
) -> set[tuple[str, int]]:
    return {key for one in due for key in turns(policies[one.policy_id], one.severity, one.timer, now)}


def _tell(one: Decided, now: datetime) -> None:
    timer, outcome, execution = one.timer, one.decision.outcome, one.decision.execution
    _steps.labels(outcome).inc()
    if timer.kind is not Kind.HANDOVER:
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
