"""What to look at: noisy sources, the load of people, and how two periods compare."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.sla.domain.figures import Overview, Window


@dataclass(frozen=True, slots=True)
class Noise:
    """What comes from one source."""

    source: str
    total: int
    timeout_escalated: int
    suppressed: int
    noise_suppressed: int
    unacked: int


@dataclass(frozen=True, slots=True)
class Load:
    """How often one person was paged: one page for each step, nights from 22:00 to 07:00 of the zone."""

    responder_id: str
    pages: int
    night_pages: int
    weekend_pages: int
    nights_disturbed: int
    alerts: int


def before(window: Window) -> Window:
    """The period of the same length that ends where this one starts."""
    return Window(window.start - (window.end - window.start), window.start)


def changes(previous: Overview, current: Overview) -> Mapping[str, float]:
    """By which share each figure has changed; those that were zero or are not known in one of the two are left out."""
    then, now = _numbers(previous), _numbers(current)
    known = {name: (then[name], value) for name, value in now.items()}
    return {name: new / old - 1 for name, (old, new) in known.items() if old and new is not None}


def _numbers(overview: Overview) -> dict[str, float | None]:
    """The figures by the names under which they are answered."""
    numbers: dict[str, float | None] = {
        "total_alerts": overview.total_alerts,
        "acked_alerts": overview.acked_alerts,
        "closed_alerts": overview.closed_alerts,
        "timeout_escalated_alerts": overview.timeout_escalated_alerts,
        "timeout_escalation_rate": overview.timeout_escalation_rate,
        "suppressed_alerts": overview.suppressed_alerts,
        "noise_suppressed_alerts": overview.noise_suppressed_alerts,
        "paged_alerts": overview.paged_alerts,
        "reopenings": overview.reopenings,
    }
    times = {
        "mtta_seconds": overview.mtta,
        "mttr_seconds": overview.mttr,
        "first_page_seconds": overview.first_page,
    }
    for name, statistics in times.items():
        for share in ("avg", "p50", "p90", "p99"):
            numbers[f"{name}.{share}"] = getattr(statistics, share)
    return numbers
