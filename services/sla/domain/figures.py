"""Figures over a period: which alerts they are of, and what they say."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """The half-open period from `start` to `end`, in UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts count: those of one of the severities, of the policy, of the source; empty means any."""

    severities: frozenset[str] = frozenset()
    policy_id: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Seconds, over the alerts for which they are known; None when there are none."""

    avg: float | None = None
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """How well it went in a period. An alert counts in the period in which it opened."""

    total_alerts: int = 0
    acked_alerts: int = 0
    closed_alerts: int = 0
    timeout_escalated_alerts: int = 0
    suppressed_alerts: int = 0
    noise_suppressed_alerts: int = 0
    mtta: Statistics = Statistics()
    mttr: Statistics = Statistics()

    @property
    def timeout_escalation_rate(self) -> float:
        """The share of alerts that went to a further level because nobody acknowledged in time; 0 of none."""
        return self.timeout_escalated_alerts / self.total_alerts if self.total_alerts else 0.0
