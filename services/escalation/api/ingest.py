"""What integrations send: signals that trigger, acknowledge or resolve alerts."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeAlias
from uuid import UUID

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import DomainError, Problems, Refused, Unauthenticated, to_status
from chassis.server import Context
from chassis.snapshot import Snapshot
from chassis.validation import count
from services.escalation.api.alerts import OUTCOMES, acknowledged, known
from services.escalation.api.changes import RuleChanges
from services.escalation.api.integrations import IntegrationApi
from services.escalation.convert import alerts as convert
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, By, Change
from services.escalation.domain.integration import Integration
from services.escalation.domain.rules import Rules
from services.escalation.storage import alerts as storage
from services.escalation.triggers import Told, Triggers
from services.escalation.verbs import Verbs
from tocsin.escalation.v1 import integration_service_pb2
from tocsin.escalation.v1.integration_service_pb2 import IngestSignalsRequest, Signal, SignalResult

MOST_SIGNALS = 1_000

Placed: TypeAlias = tuple[int, Signal]
"""A signal and its place in the request."""

VERBS = frozenset({Signal.ACKNOWLEDGE, Signal.RESOLVE, Signal.COMMENT})
"""The actions that do something to an alert that is there."""


class IngestingIntegrationApi(IntegrationApi):
    """Integrations, and what they send."""

    def __init__(
        self,
        db: Database,
        changes: RuleChanges,
        clock: Clock,
        *,
        rules: Snapshot[Rules],
        triggers: Triggers,
        verbs: Verbs,
    ) -> None:
        super().__init__(db, changes, clock)
        self._rules = rules
        self._triggers = triggers
        self._verbs = verbs

    async def IngestSignals(
        self, request: IngestSignalsRequest, _: Context
    ) -> integration_service_pb2.IngestSignalsResponse:
        """Takes signals in the name of the integration that has the key; each is answered by itself."""
        integration = self._rules.value.integration_by_key(request.routing_key, self._clock.now())
        if integration is None:
            raise Unauthenticated("no integration has this routing key", reason="ROUTING_KEY_UNKNOWN")
        problems = Problems()
        count(problems, "signals", request.signals, least=1, most=MOST_SIGNALS)
        problems.check()
        results: dict[int, SignalResult] = {}
        for wave in _waves(request.signals):
            results |= await self._take(integration, wave)
        return integration_service_pb2.IngestSignalsResponse(
            results=[results[place] for place in range(len(request.signals))]
        )

    async def _take(self, integration: Integration, wave: Sequence[Placed]) -> dict[int, SignalResult]:
        triggers = [one for one in wave if one[1].action not in VERBS]
        others = [one for one in wave if one[1].action in VERBS]
        triggered, done = await asyncio.gather(
            self._trigger(integration, triggers), self._carry_out(integration, others)
        )
        return triggered | done

    async def _trigger(self, integration: Integration, wave: Sequence[Placed]) -> dict[int, SignalResult]:
        answers = await self._triggers.submit_many([_report(integration, signal) for _, signal in wave])
        return {
            place: _failed(answer)
            if isinstance(answer, Exception)
            else SignalResult(alert_id=answer.alert.alert_id, outcome=OUTCOMES[answer.outcome])
            for (place, _), answer in zip(wave, answers, strict=True)
        }

    async def _carry_out(self, integration: Integration, wave: Sequence[Placed]) -> dict[int, SignalResult]:
        checked = {place: _check(signal) for place, signal in wave}
        keys = [signal.alert.dedup_key for place, signal in wave if checked[place] is None]
        if not keys:
            return {place: _failed(error) for place, error in checked.items() if error is not None}
        by = f"integrations/{integration.integration_id}"
        notes = {signal.note for _, signal in wave if signal.action == Signal.COMMENT}
        async with self._db.connect() as conn:
            live = await storage.live_ids(conn, keys)
            made = await storage.comments(conn, by, live.values(), notes) if notes else set()

        def concerned(signal: Signal) -> UUID | None:
            """The alert that the signal does something to: none that has the note already."""
            alert_id = live.get(signal.alert.dedup_key)
            if alert_id is None or signal.action != Signal.COMMENT:
                return alert_id
            again = (alert_id, signal.note) in made
            made.add((alert_id, signal.note))
            return None if again else alert_id

        results = await asyncio.gather(
            *(
                self._one(concerned(signal), signal, By(by, signal.note), checked[place])
                for place, signal in wave
            )
        )
        return {place: result for (place, _), result in zip(wave, results, strict=True)}

    async def _one(
        self, alert_id: UUID | None, signal: Signal, by: By, problem: DomainError | None
    ) -> SignalResult:
        """What is not open, or is closed before its turn comes, changes nothing."""
        if problem is not None:
            return _failed(problem)
        if alert_id is not None:
            verb = self._verb(signal)
            with suppress(Refused):
                done = await self._verbs.submit(alert_id, lambda alert, now: verb(alert, by, now))
                return SignalResult(alert_id=done.alert_id)
        return SignalResult()

    def _verb(self, signal: Signal) -> Callable[[Alert, By, datetime], Change]:
        match signal.action:
            case Signal.RESOLVE:
                return verbs.closed
            case Signal.COMMENT:
                news = {"title": signal.alert.title, "description": signal.alert.description}
                return partial(_noted, {name: text for name, text in news.items() if text})
            case _:
                return acknowledged(self._rules.value)


def _noted(news: Mapping[str, str], alert: Alert, by: By, _: datetime) -> Change:
    """A note, unless all that it tells of is what the alert says already."""
    old = bool(news) and all(getattr(alert, name) == text for name, text in news.items())
    return Change(alert) if old else verbs.commented(alert, by)


def _waves(signals: Sequence[Signal]) -> Iterator[list[Placed]]:
    """Cuts signals so that those about one dedup key with different actions follow one another in their order."""
    wave: list[Placed] = []
    actions: dict[str, int] = {}
    for place, signal in enumerate(signals):
        key = signal.alert.dedup_key
        if key and actions.get(key, signal.action) != signal.action:
            yield wave
            wave, actions = [], {}
        wave.append((place, signal))
        actions[key] = signal.action
    yield wave


def _report(integration: Integration, signal: Signal) -> Told | DomainError:
    """What a signal reports, with the labels and the policy of the integration, which win over the sender's."""
    problems = Problems()
    if signal.action not in (Signal.ACTION_UNSPECIFIED, Signal.TRIGGER):
        problems.add("action", f"{signal.action} is not known; want TRIGGER, ACKNOWLEDGE or RESOLVE")
    try:
        problems.check()
        made = convert.report(signal.alert)
    except DomainError as error:
        return error
    policy_id = integration.policy_id or signal.alert.policy_id
    report = made._replace(labels={**made.labels, **integration.labels})
    return Told(report, policy_id, signal.alert.request_id, integration)


def _check(signal: Signal) -> DomainError | None:
    try:
        convert.check_signal(signal)
    except DomainError as error:
        return error
    return None


def _failed(error: Exception) -> SignalResult:
    return SignalResult(error=to_status(known(error)))
