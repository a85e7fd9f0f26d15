"""`tocsin sla`: how well alerts were answered in a period."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.api import Json
from cli.completing import POLICIES
from cli.moments import past, rfc3339, shown, spoken
from cli.operating import Operator, instant_of, operates
from cli.output import facts, table

if TYPE_CHECKING:
    from rich.console import RenderableType

TIMES = {"mtta_seconds": "to acknowledgement", "mttr_seconds": "to closing"}
STATISTICS = ("avg", "p50", "p90", "p99")


@operates(
    "tocsin sla",
    "tocsin sla --start 7d --severity CRITICAL",
    "tocsin sla --start 2026-03-01 --end 2026-04-01",
)
def sla(
    operator: Operator,
    start: Annotated[str, typer.Option(help="From when on: 7d (ago), 2026-03-01 (default: 30d).")] = "",
    end: Annotated[str, typer.Option(help="Until when: now, 1d (ago), 2026-04-01.")] = "",
    severity: Annotated[
        list[str] | None, typer.Option(help="Only these severities; may be repeated.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Only alerts of this policy.", autocompletion=POLICIES)] = "",
    source: Annotated[str, typer.Option(help="Only alerts of this source.")] = "",
) -> None:
    """Show the figures of a period: how many alerts, how fast they were taken, how many were late."""
    found = operator.api.get(
        "/sla/overview",
        start=_instant("--start", start, operator.now),
        end=_instant("--end", end, operator.now),
        severity=[one.upper() for one in severity or []],
        policy_id=policy,
        source=source,
    )
    operator.out.show(found, *drawn(found))


def drawn(found: Json) -> "tuple[RenderableType, ...]":
    """The figures for people."""
    rate = f"{found['timeout_escalation_rate']:.1%}"
    pairs = [
        ("period", f"{shown(found['start'])} – {shown(found['end'])}"),
        ("alerts", found["total_alerts"]),
        ("acknowledged", found["acked_alerts"]),
        ("closed", found["closed_alerts"]),
        ("escalated by timeout", f"{found['timeout_escalated_alerts']} ({rate})"),
        ("silenced", found["suppressed_alerts"]),
        ("aggregated", found["noise_suppressed_alerts"]),
    ]
    rows = (
        (text, *(took(found[name][statistic]) for statistic in STATISTICS)) for name, text in TIMES.items()
    )
    return facts(pairs), "", table(("time", *STATISTICS), rows)


def took(seconds: float | None) -> str:
    """A length of time in seconds for people; a dash where there is nothing to average."""
    if seconds is None:
        return "–"
    return f"{seconds:.2f}s" if seconds < 10 else spoken(timedelta(seconds=seconds))


def _instant(option: str, text: str, now: datetime) -> str:
    return rfc3339(instant_of(option, lambda: past(text, now=now))) if text else ""
