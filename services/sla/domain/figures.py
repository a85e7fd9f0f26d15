"""Figures over a period: which alerts they are of, and what they say."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open period from `start` to `end`, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts count: those that are all that is asked for; empty means any.

    One of the severities, of the policy, of the source, escalated to the schedule, addressed to the responder, with
    all of the labels.
    """

    severities: frozenset[str] = frozenset()
    policy_id: str = ""
    source: str = ""
    schedule_id: str = ""
    responder_id: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def cell(self) -> tuple[str, str] | None:
        """The dimension and the value by which these alerts are rolled up; None when only facts can tell."""
        named = [(dimension, value) for dimension, value in self._dimensions if value]
        if self.labels or len(named) > 1:
            return None
        return named[0] if named else ("all", "")

    @property
    def _dimensions(self) -> tuple[tuple[str, str], ...]:
        return (
            ("policy", self.policy_id),
            ("source", self.source),
            ("schedule", self.schedule_id),
            ("responder", self.responder_id),
        )


class Counted(StrEnum):
    """What a number counts."""

    TOTAL = "TOTAL"
    ACKED = "ACKED"
    CLOSED = "CLOSED"
    TIMEOUT_ESCALATED = "TIMEOUT_ESCALATED"
    SUPPRESSED = "SUPPRESSED"
    NOISE_SUPPRESSED = "NOISE_SUPPRESSED"
    PAGED = "PAGED"
    UNACKED = "UNACKED"
    REOPENED = "REOPENED"


@dataclass(frozen=True, slots=True)
class Statistics:
    """Seconds, over the alerts for which they are known; None when there are none."""

    avg: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Alerts that nobody has acknowledged or closed, and how old they are in seconds; None when there are none."""

    alerts: int = 0
    avg: float | None = None
    max: float | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """How well it went in a period. An alert counts in the period in which it opened."""

    total_alerts: int = 0
    acked_alerts: int = 0
    closed_alerts: int = 0
    timeout_escalated_alerts: int = 0
    suppressed_alerts: int = 0
    noise_suppressed_alerts: int = 0
    paged_alerts: int = 0
    reopenings: int = 0
    unacked: Waiting = Waiting()
    first_page: Statistics = Statistics()
    mtta: Statistics = Statistics()
    mttr: Statistics = Statistics()

    @property
    def timeout_escalation_rate(self) -> float:
        """The share of alerts that went to a further level because nobody acknowledged in time; 0 of none."""
        return self.timeout_escalated_alerts / self.total_alerts if self.total_alerts else 0.0
