"""`tocsin sla series` and `facts`: how the figures went on, and the alerts behind them."""

from typing import Annotated

import typer

from cli.api import Json
from cli.moments import parsed, shown
from cli.operating import Operator, operates
from cli.output import table
from cli.sla.overview import took
from cli.sla.periods import (
    END,
    LABEL,
    POLICY,
    RESPONDER,
    SCHEDULE,
    SEVERITY,
    SOURCE,
    START,
    asked,
    period,
)

COLUMNS = ("from", "alerts", "taken", "late", "silenced", "to ack", "p90", "to closing", "p90")
ALERTS = ("opened", "severity", "source", "title", "to first page", "to ack", "by", "to closing", "alert")


@operates(
    "tocsin sla series --start 7d",
    "tocsin sla series --start 2026-03-01 --end 2026-04-01 --step week --time-zone Europe/Berlin",
)
def series(
    operator: Operator,
    start: START = "",
    end: END = "",
    step: Annotated[str, typer.Option(help="hour, day or week.")] = "day",
    time_zone: Annotated[str, typer.Option(help="The zone of days and weeks.")] = "UTC",
    severity: SEVERITY = None,
    policy: POLICY = "",
    source: SOURCE = "",
    schedule: SCHEDULE = "",
    responder: RESPONDER = "",
    label: LABEL = None,
) -> None:
    """Show the figures of a period hour by hour, day by day or week by week."""
    found = operator.api.get(
        "/sla/timeseries",
        **period(start, end, operator.now),
        **asked(severity, policy, source, schedule, responder, label),
        step=step.upper(),
        time_zone=time_zone,
    )
    rows = (
        (
            shown(point["start"]),
            one["total_alerts"],
            one["acked_alerts"],
            f"{one['timeout_escalation_rate']:.1%}",
            one["suppressed_alerts"] + one["noise_suppressed_alerts"],
            *(
                took(one[name][share])
                for name in ("mtta_seconds", "mttr_seconds")
                for share in ("avg", "p90")
            ),
        )
        for point in found["points"]
        if (one := point["overview"])
    )
    operator.out.show(found, table(COLUMNS, rows))


@operates("tocsin sla facts --start 1d", "tocsin sla facts --counted TIMEOUT_ESCALATED --policy web")
def listed(
    operator: Operator,
    start: START = "",
    end: END = "",
    counted: Annotated[
        str, typer.Option(help="Only those that a number counts: ACKED, UNACKED, TIMEOUT_ESCALATED …")
    ] = "",
    severity: SEVERITY = None,
    policy: POLICY = "",
    source: SOURCE = "",
    schedule: SCHEDULE = "",
    responder: RESPONDER = "",
    label: LABEL = None,
    limit: Annotated[int, typer.Option(help="How many.")] = 50,
) -> None:
    """List the alerts behind the figures, the newest first, with how long each took."""
    found = list(
        operator.api.each(
            "/sla/facts",
            "facts",
            most=limit,
            **period(start, end, operator.now),
            **asked(severity, policy, source, schedule, responder, label),
            **({"counted": counted.upper()} if counted else {}),
        )
    )
    rows = (
        (
            shown(one["opened_at"]),
            one["severity"],
            one["source"],
            one["title"],
            *(_since(one, at) for at in ("first_paged_at", "acked_at")),
            one["acked_by"],
            _since(one, "closed_at"),
            one["alert_id"],
        )
        for one in found
    )
    operator.out.show({"facts": found}, table(ALERTS, rows))


def _since(fact: Json, at: str) -> str:
    """From opening to an instant, for people."""
    if not fact[at]:
        return "–"
    return took((parsed(fact[at]) - parsed(fact["opened_at"])).total_seconds())
