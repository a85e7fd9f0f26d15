"""Takes reports: each opens an alert or adds to one, durably, many of them in one commit."""

from collections import Counter as Counted
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import telemetry
from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import DomainError, Invalid, Unavailable
from chassis.ids import uuid7
from chassis.snapshot import Snapshot
from services.escalation.bursts import hasten
from services.escalation.convert import alerts as convert
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, Quiet, Report
from services.escalation.domain.flapping import History, Verdict, verdict
from services.escalation.domain.integration import Flapping, Integration
from services.escalation.domain.noise import AGGREGATIONS, FLAPPING
from services.escalation.domain.rules import Rules, Standing
from services.escalation.domain.timer import Timer
from services.escalation.judging import Judge
from services.escalation.record import Made, record
from services.escalation.storage import alerts as storage
from services.escalation.storage import noise
from services.escalation.storage import triggers as kept
from services.escalation.storage.alerts import New
from services.escalation.storage.triggers import Answered
from tocsin.escalation.v1 import alert_pb2

KNOWN = 10_000
"""How many dedup keys are remembered."""
ATTEMPTS = 5
"""How often a group is tried when others open the same keys at the same moment."""

_log = structlog.get_logger()
_triggers = Counter("tocsin_triggers_total", "Triggers, by what became of them.", ["outcome"])


class Outcome(StrEnum):
    """What became of a trigger."""

    OPENED = "OPENED"
    REPEATED = "REPEATED"
    SUPPRESSED = "SUPPRESSED"
    AGGREGATED = "AGGREGATED"


class Told(NamedTuple):
    """What somebody tells: a report, the policy that it names, its request id, and by which integration it came."""

    report: Report
    policy_id: str = ""
    request_id: str = ""
    integration: Integration | None = None


class Trigger(NamedTuple):
    """A report, and what the rules make of it, should it open an alert."""

    report: Report
    policy_id: str
    standing: Standing
    request_id: str
    integration: Integration | None
    trace: str

    @property
    def plain(self) -> bool:
        """Whether it can open an alert without a look at anything but its dedup key."""
        return self.standing.alone and not self.request_id and self.flaps is None

    @property
    def flaps(self) -> Flapping | None:
        """What counts as flapping for it."""
        return self.integration.flapping if self.integration and self.report.dedup_key else None


class Triggered(NamedTuple):
    """What became of a trigger: the alert after it."""

    alert: alert_pb2.Alert
    outcome: Outcome


class _Overtaken(Exception):
    """Somebody else has opened an alert with one of the dedup keys since they were looked up."""


class Triggers:
    """Writes triggers in groups.

    New alerts are opened by one statement. What that leaves, because it adds to an alert, comes with a request id or
    may stand behind another alert, is decided under locks in one transaction.
    """

    def __init__(
        self, *, db: Database, rules: Snapshot[Rules], clock: Clock, committed: Callable[[], None]
    ) -> None:
        """`committed` is called when something new is due, or to be published."""
        self._db = db
        self._rules = rules
        self._clock = clock
        self._committed = committed
        self._group = GroupCommit[Trigger, Triggered]("trigger", self._flush)
        self._known: dict[str, None] = {}

    async def submit(self, told: Told) -> Triggered:
        """Takes one report. Raises Invalid when the policy that it names does not exist."""
        await self._learn([told])
        return await self._group.submit(self._judge(told, self._clock.now()))

    async def submit_many(self, told: Sequence[Told | DomainError]) -> list[Triggered | Exception]:
        """Takes reports; errors among them stay in place."""
        await self._learn(one for one in told if isinstance(one, Told))
        now = self._clock.now()
        judged = [one if isinstance(one, DomainError) else self._judged(one, now) for one in told]
        good = [one for one in judged if isinstance(one, Trigger)]
        answers = iter(await self._group.submit_many(good) if good else ())
        return [next(answers) if isinstance(one, Trigger) else one for one in judged]

    async def drain(self) -> None:
        """Waits until everything taken so far has been answered."""
        await self._group.drain()

    async def _learn(self, told: Iterable[Told]) -> None:
        """Reads the rules again for a policy that is not among them: another replica may have made it a moment ago."""
        rules = self._rules.value
        if any(one.policy_id and rules.policy(one.policy_id) is None for one in told):
            await self._rules.refresh()

    def _judged(self, told: Told, now: datetime) -> Trigger | DomainError:
        try:
            return self._judge(told, now)
        except DomainError as error:
            return error

    def _judge(self, told: Told, now: datetime) -> Trigger:
        report, policy_id, request_id, integration = told
        rules = self._rules.value
        if policy_id and rules.policy(policy_id) is None:
            raise Invalid.field("policy_id", f"there is no policy {policy_id!r}")
        facts = report.facts()
        return Trigger(
            report=report,
            policy_id=rules.policy_for(facts, named=policy_id).policy_id,
            standing=rules.standing(facts, now),
            request_id=request_id,
            integration=integration,
            trace=telemetry.trace_parent(),
        )

    async def _flush(self, triggers: list[Trigger]) -> Sequence[Triggered | Exception]:
        now = self._clock.now()
        answers: list[Triggered | Exception | None] = [None] * len(triggers)
        for place, opened in await self._open(triggers, now):
            answers[place] = opened
        left = [place for place, answer in enumerate(answers) if answer is None]
        if left:
            try:
                joined: Sequence[Triggered | Exception] = await self._join([triggers[n] for n in left], now)
            except Exception as error:
                joined = [error] * len(left)
            for place, answer in zip(left, joined, strict=True):
                answers[place] = answer
            self._know(triggers[place].report.dedup_key for place in left)
        crashpoint("trigger.after_commit")
        self._committed()
        done = [answer for answer in answers if answer is not None]
        for outcome, count in Counted(one.outcome for one in done if isinstance(one, Triggered)).items():
            _triggers.labels(outcome).inc(count)
        return done

    def _know(self, keys: Iterable[str]) -> None:
        """Remembers keys that had an alert lately: most likely they have one still, and opening another is in vain."""
        for key in keys:
            if key:
                self._known.pop(key, None)
                self._known[key] = None
        while len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]

    async def _open(self, triggers: Sequence[Trigger], now: datetime) -> list[tuple[int, Triggered]]:
        """Opens what is new, by one statement; answers which those were."""
        places: list[int] = []
        new: list[New] = []
        messages: list[alert_pb2.Alert] = []
        keys: set[str] = set()
        for place, trigger in enumerate(triggers):
            key = trigger.report.dedup_key
            if trigger.plain and key not in keys and key not in self._known:
                if key:
                    keys.add(key)
                one, message = _new(trigger, trigger.standing.silence, Verdict.STEADY, now)
                places.append(place)
                new.append(one)
                messages.append(message)
        if not new:
            return []
        async with self._db.raw() as conn:
            taken = await storage.open_now(conn, new)
        return [
            (place, Triggered(message, _outcome(one.alert)))
            for place, one, message in zip(places, new, messages, strict=True)
            if one.alert.alert_id not in taken
        ]

    async def _join(self, triggers: Sequence[Trigger], now: datetime) -> Sequence[Triggered]:
        for _ in range(ATTEMPTS):
            try:
                async with self._db.begin() as conn:
                    return await _Joining(conn, triggers, self._rules.value, now).run()
            except _Overtaken:
                _log.info("trigger_retried", reason="OVERTAKEN")
        raise Unavailable("others report the same at the same moment", reason="BUSY")


class _Joining:
    """One transaction that decides triggers under locks: requests, then groups, then alerts, each in order."""

    def __init__(
        self, conn: AsyncConnection, triggers: Sequence[Trigger], rules: Rules, now: datetime
    ) -> None:
        self._conn = conn
        self._triggers = triggers
        self._rules = rules
        self._now = now
        self._judge = Judge(conn, now)
        self._live: dict[str, Alert] = {}
        self._histories: dict[str, History] = {}
        self._new: dict[UUID, New] = {}
        self._messages: dict[UUID, alert_pb2.Alert] = {}
        self._again: dict[UUID, list[Trigger]] = {}

    async def run(self) -> list[Triggered]:
        """Decides and writes; answers each trigger in order."""
        answered = await kept.begin_requests(
            self._conn, (t.request_id for t in self._triggers if t.request_id), self._now
        )
        taken: dict[str, Answered] = {}
        fresh = [t for t in self._triggers if t.request_id not in answered]
        await self._lock(fresh)
        fates: list[tuple[UUID, Outcome]] = []
        for trigger in self._triggers:
            known = answered.get(trigger.request_id) or taken.get(trigger.request_id)
            if known is not None:
                fates.append((known.alert_id, Outcome(known.outcome)))
                continue
            fate = self._decide(trigger)
            fates.append(fate)
            if trigger.request_id:
                taken[trigger.request_id] = Answered(*fate)
        await self._write(taken)
        for known in answered.values():
            if known.alert_id not in self._messages:
                alert = await storage.get(self._conn, known.alert_id)
                self._messages[known.alert_id] = convert.alert_message(alert)
        return [Triggered(self._messages[alert_id], outcome) for alert_id, outcome in fates]

    async def _lock(self, triggers: Sequence[Trigger]) -> None:
        keys = {t.report.dedup_key for t in triggers if t.report.dedup_key}
        locked = await self._judge.lock((t.standing for t in triggers), keys=keys)
        self._live = {
            alert.dedup_key: alert
            for alert in locked.values()
            if alert.dedup_key in keys and alert.state is not verbs.State.CLOSED
        }
        flapping = {
            t.report.dedup_key: (self._now - t.flaps.window, t.flaps.threshold)
            for t in triggers
            if t.flaps is not None and t.report.dedup_key not in self._live
        }
        self._histories = await noise.openings(self._conn, flapping)

    def _decide(self, trigger: Trigger) -> tuple[UUID, Outcome]:
        live = self._live.get(trigger.report.dedup_key)
        if live is not None:
            self._again.setdefault(live.alert_id, []).append(trigger)
            return live.alert_id, Outcome.REPEATED
        history = self._histories.get(trigger.report.dedup_key)
        flaps = verdict(trigger.flaps, history, self._now) if trigger.flaps else Verdict.STEADY
        quiet = trigger.standing.silence or (
            Quiet(FLAPPING) if flaps is Verdict.GOES_ON else self._judge.quiet(trigger.standing)
        )
        one, message = _new(trigger, quiet, flaps, self._now)
        alert = one.alert
        self._new[alert.alert_id], self._messages[alert.alert_id] = one, message
        if alert.dedup_key:
            self._live[alert.dedup_key] = alert
        self._judge.took(trigger.standing, alert)
        return alert.alert_id, _outcome(alert)

    async def _write(self, taken: dict[str, Answered]) -> None:
        """New alerts first: whoever waits for one of their keys holds nothing that is waited for here."""
        new = sorted(self._new.values(), key=lambda one: one.alert.dedup_key)
        if await storage.open_within(self._conn, new):
            raise _Overtaken
        repeated = {one: (self._judge.alerts[one], len(triggers)) for one, triggers in self._again.items()}
        sooner = await hasten(self._conn, self._rules, repeated, self._now)
        made = [
            self._repeat(alert_id, triggers, sooner.get(alert_id))
            for alert_id, triggers in self._again.items()
        ]
        await kept.answer_requests(self._conn, taken)
        for message in await record(self._conn, made, self._now, reviews=await self._judge.write()):
            self._messages[UUID(message.alert_id)] = message

    def _repeat(self, alert_id: UUID, triggers: Sequence[Trigger], sooner: Timer | None) -> Made:
        alert = self._judge.alerts[alert_id]
        change = verbs.repeated(alert, triggers=len(triggers), now=self._now)
        return Made(change if sooner is None else change._replace(timer=sooner), triggers[-1].trace)


def _new(trigger: Trigger, quiet: Quiet | None, flaps: Verdict, now: datetime) -> tuple[New, alert_pb2.Alert]:
    integration = trigger.integration
    change = verbs.opened(
        trigger.report,
        alert_id=uuid7(),
        policy_id=trigger.policy_id,
        quiet=quiet,
        now=now,
        integration_id=integration.integration_id if integration else "",
        flapping=flaps is not Verdict.STEADY,
    )
    alert, happened = change.alert, change.events[0]
    message = convert.alert_message(alert)
    new = New(alert, happened.type, convert.event_data(happened, message), trigger.trace)
    if integration is None:
        return new, message
    steady = trigger.flaps if alert.suppressed_by == FLAPPING else None
    close = integration.auto_close_after
    return new._replace(
        steady_at=now + steady.stable_after if steady else None, close_at=now + close if close else None
    ), message


def _outcome(alert: Alert) -> Outcome:
    if alert.state is verbs.State.OPEN:
        return Outcome.OPENED
    return Outcome.AGGREGATED if alert.suppressed_by.startswith(AGGREGATIONS) else Outcome.SUPPRESSED
