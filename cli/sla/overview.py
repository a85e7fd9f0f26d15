"""`tocsin sla` and `tocsin sla compare`: the figures of a period, and beside those of the one before."""

from datetime import timedelta
from typing import TYPE_CHECKING

import typer

from cli.api import Json
from cli.moments import shown, spoken
from cli.operating import Operator, operates
from cli.output import facts, table
from cli.sla.periods import END, LABEL, POLICY, RESPONDER, SCHEDULE, SEVERITY, SOURCE, START, asked, period

if TYPE_CHECKING:
    from rich.console import RenderableType

TIMES = {
    "first_page_seconds": "to the first page",
    "mtta_seconds": "to acknowledgement",
    "mttr_seconds": "to closing",
}
STATISTICS = ("avg", "p50", "p90", "p99")


@operates(
    "tocsin sla",
    "tocsin sla --start 7d --severity CRITICAL",
    "tocsin sla --start 2026-03-01 --end 2026-04-01",
    "tocsin sla --responder alice --label team=db",
)
def overview(
    operator: Operator,
    context: typer.Context,
    start: START = "",
    end: END = "",
    severity: SEVERITY = None,
    policy: POLICY = "",
    source: SOURCE = "",
    schedule: SCHEDULE = "",
    responder: RESPONDER = "",
    label: LABEL = None,
) -> None:
    """Show the figures of a period: how many alerts, how fast they were taken, how many were late."""
    if context.invoked_subcommand is not None:
        return
    found = operator.api.get(
        "/sla/overview",
        **period(start, end, operator.now),
        **asked(severity, policy, source, schedule, responder, label),
    )
    operator.out.show(found, *drawn(found))


@operates("tocsin sla compare --start 7d", "tocsin sla compare --start 2026-03-01 --end 2026-04-01")
def compare(
    operator: Operator,
    start: START = "",
    end: END = "",
    severity: SEVERITY = None,
    policy: POLICY = "",
    source: SOURCE = "",
    schedule: SCHEDULE = "",
    responder: RESPONDER = "",
    label: LABEL = None,
) -> None:
    """Show the figures of a period beside those of the period of the same length before it."""
    found = operator.api.get(
        "/sla/compare",
        **period(start, end, operator.now),
        **asked(severity, policy, source, schedule, responder, label),
    )
    before, now, changes = found["previous"], found["current"], found["changes"]
    rows = [
        (text, before[name], now[name], _change(changes.get(name)))
        for name, text in (
            ("total_alerts", "alerts"),
            ("acked_alerts", "acknowledged"),
            ("timeout_escalated_alerts", "escalated by timeout"),
            ("suppressed_alerts", "silenced"),
            ("noise_suppressed_alerts", "aggregated"),
        )
    ]
    rows += [
        (
            f"{text}, {share}",
            took(before[name][share]),
            took(now[name][share]),
            _change(changes.get(f"{name}.{share}")),
        )
        for name, text in TIMES.items()
        for share in ("avg", "p90")
    ]
    period_of = (f"{shown(one['start'])} – {shown(one['end'])}" for one in (before, now))
    operator.out.show(
        found,
        facts(zip(("before", "now"), period_of, strict=True)),
        "",
        table(("", "before", "now", "change"), rows),
    )


def drawn(found: Json) -> "tuple[RenderableType, ...]":
    """The figures for people."""
    rate = f"{found['timeout_escalation_rate']:.1%}"
    waiting = found["open_unacked_age"]
    pairs = [
        ("period", f"{shown(found['start'])} – {shown(found['end'])}"),
        ("alerts", found["total_alerts"]),
        ("acknowledged", found["acked_alerts"]),
        ("closed", found["closed_alerts"]),
        ("escalated by timeout", f"{found['timeout_escalated_alerts']} ({rate})"),
        ("opened again", found["reopenings"]),
        ("silenced", found["suppressed_alerts"]),
        ("aggregated", found["noise_suppressed_alerts"]),
        (
            "waiting",
            f"{waiting['alerts']}, the oldest for {took(waiting['max'])}" if waiting["alerts"] else "0",
        ),
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


def _change(share: float | None) -> str:
    return "–" if share is None else f"{share:+.0%}"
