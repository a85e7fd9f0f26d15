"""Targets, and the promises that they make of each alert: when one is at risk, broken or kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.sla.domain.fact import Fact
from services.sla.domain.hours import BusinessHours
from services.sla.domain.matcher import Matcher, all_match


class Kind(StrEnum):
    """What is promised."""

    ACKNOWLEDGE = "ACKNOWLEDGE"
    RESOLVE = "RESOLVE"


class State(StrEnum):
    """How a promise stands."""

    WAITING = "WAITING"
    AT_RISK = "AT_RISK"
    BREACHED = "BREACHED"
    KEPT = "KEPT"


@dataclass(frozen=True, slots=True)
class Target:
    """What alerts of a kind must meet: within how long they are acknowledged and closed; None promises nothing.

    Time runs in the business hours, or always. `at_risk_share` of it may pass before there is a warning; `objective`
    is the share of promises that must be kept within `window`.
    """

    target_id: str
    display_name: str
    matchers: tuple[str, ...]
    acknowledge_within: timedelta | None
    resolve_within: timedelta | None
    hours: BusinessHours | None
    at_risk_share: float
    objective: float
    window: timedelta
    created_at: datetime

    @property
    def lengths(self) -> Mapping[Kind, timedelta]:
        """What is promised, and within how long."""
        lengths = {Kind.ACKNOWLEDGE: self.acknowledge_within, Kind.RESOLVE: self.resolve_within}
        return {kind: length for kind, length in lengths.items() if length is not None}

    def after(self, start: datetime, length: timedelta) -> datetime | None:
        """The instant at which so much of the time has passed; None when it never does."""
        return start + length if self.hours is None else self.hours.after(start, length)


@dataclass(frozen=True, slots=True)
class Promise:
    """That one alert is acknowledged, or closed, until `due_at`; `settled_at` says when it was.

    `breached_at` is `due_at` once the breach was told of, and stays when late news says that the promise was kept.
    """

    alert_id: UUID
    target_id: str
    kind: Kind
    started_at: datetime
    at_risk_at: datetime
    due_at: datetime
    state: State = State.WAITING
    settled_at: datetime | None = None
    breached_at: datetime | None = None

    @property
    def next_at(self) -> datetime | None:
        """When there is something to tell of it; None when there is not."""
        match self.state:
            case State.WAITING:
                return self.at_risk_at
            case State.AT_RISK:
                return self.due_at
            case State.BREACHED | State.KEPT:
                return None


def labels_of(fact: Fact) -> dict[str, str]:
    """What matchers see of an alert: its labels, and severity, source and title as labels."""
    return {**fact.labels, "severity": fact.severity, "source": fact.source, "title": fact.title}


def promised(targets: Sequence[tuple[Target, Sequence[Matcher]]], facts: Sequence[Fact]) -> list[Promise]:
    """What the targets promise of alerts that opened since they exist."""
    made = []
    for fact in facts:
        if fact.opened and fact.opened_at is not None:
            labels = labels_of(fact)
            for target, matchers in targets:
                if target.created_at <= fact.opened_at and all_match(matchers, labels):
                    made += _of(target, fact.alert_id, fact.opened_at)
    return made


def settled(promise: Promise, fact: Fact) -> Promise:
    """The promise as the fact leaves it: kept when what was promised has happened in time, also if that is late news.

    An alert that is closed needs nobody to acknowledge it. What has happened too late stays to be told of.
    """
    at = fact.closed_at
    if promise.kind is Kind.ACKNOWLEDGE:
        at = min((moment for moment in (fact.acked_at, fact.closed_at) if moment is not None), default=None)
    if at is None:
        return replace(promise, settled_at=None)
    if at < promise.due_at:
        return replace(promise, settled_at=at, state=State.KEPT)
    return replace(promise, settled_at=at)


def told(promise: Promise, now: datetime) -> Promise:
    """The promise as time leaves it: at risk, or broken, and then there is nothing more to tell of a risk."""
    match promise.state:
        case State.WAITING | State.AT_RISK if now >= promise.due_at:
            return replace(promise, state=State.BREACHED, breached_at=promise.due_at)
        case State.WAITING if now >= promise.at_risk_at:
            return replace(promise, state=State.AT_RISK)
        case _:
            return promise


def _of(target: Target, alert_id: UUID, opened_at: datetime) -> list[Promise]:
    made = []
    for kind, length in target.lengths.items():
        at_risk_at = target.after(opened_at, length * target.at_risk_share)
        due_at = target.after(opened_at, length)
        if at_risk_at is not None and due_at is not None:
            made.append(Promise(alert_id, target.target_id, kind, opened_at, at_risk_at, due_at))
    return made


@dataclass(frozen=True, slots=True)
class Tally:
    """Promises of a period: how many were made, kept and broken; the rest is not decided yet."""

    made: int = 0
    kept: int = 0
    broken: int = 0

    @property
    def share(self) -> float | None:
        """The share of those decided that were kept; None when none is."""
        decided = self.kept + self.broken
        return self.kept / decided if decided else None

    def burn_rate(self, objective: float) -> float | None:
        """How many times as fast as allowed promises are broken: 1 uses the budget up exactly; None of nothing."""
        return None if self.share is None else (1 - self.share) / (1 - objective)

    def left(self, objective: float) -> float | None:
        """The share of the budget that is left: 1 untouched, 0 used up, negative beyond; None of nothing."""
        rate = self.burn_rate(objective)
        return None if rate is None else 1 - rate
