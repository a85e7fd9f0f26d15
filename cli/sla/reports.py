"""`tocsin sla noisy`, `load`, `budgets` and `breaches`: what to look at."""

from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.moments import shown
from cli.operating import Operator, operates
from cli.output import table
from cli.sla.periods import END, SEVERITY, START, period


@operates("tocsin sla noisy", "tocsin sla noisy --start 7d --limit 5")
def noisy(
    operator: Operator,
    start: START = "",
    end: END = "",
    severity: SEVERITY = None,
    limit: Annotated[int, typer.Option(help="How many sources.")] = 10,
) -> None:
    """List the sources of most alerts, and how many of those nobody needed to take."""
    found = operator.api.get(
        "/sla/noisy",
        **period(start, end, operator.now),
        severity=[one.upper() for one in severity or []],
        limit=limit,
    )
    rows = (
        (
            one["source"] or "–",
            one["total_alerts"],
            one["unacked_alerts"],
            one["timeout_escalated_alerts"],
            one["suppressed_alerts"],
            one["noise_suppressed_alerts"],
        )
        for one in found["sources"]
    )
    columns = ("source", "alerts", "not taken", "late", "silenced", "aggregated")
    operator.out.show(found, table(columns, rows))


@operates("tocsin sla load --time-zone Europe/Berlin", "tocsin sla load --start 7d")
def load(
    operator: Operator,
    start: START = "",
    end: END = "",
    time_zone: Annotated[str, typer.Option(help="The zone of nights and weekends.")] = "UTC",
) -> None:
    """Show how often people were paged, at night and on weekends too."""
    found = operator.api.get("/sla/load", **period(start, end, operator.now), time_zone=time_zone)
    rows = (
        (
            one["responder_id"],
            one["pages"],
            one["night_pages"],
            one["nights_disturbed"],
            one["weekend_pages"],
            one["alerts"],
        )
        for one in found["loads"]
    )
    columns = ("responder", "pages", "at night", "nights", "on weekends", "alerts")
    operator.out.show(found, table(columns, rows))


@operates("tocsin sla budgets")
def budgets(operator: Operator) -> None:
    """Show for each target the share of promises that were kept, and how fast its budget burns."""
    targets = list(operator.api.each("/sla/targets", "targets"))
    found = [operator.api.get(f"/sla/targets/{escaped(one['target_id'])}/budget") for one in targets]
    rows = [row for budget in found for row in _budget(budget)]
    columns = ("target", "promise", "kept", "broken", "open", "share", "objective", "left", "burn")
    operator.out.show({"budgets": found}, table(columns, rows))


@operates("tocsin sla breaches", "tocsin sla breaches --start 7d --target critical")
def breaches(
    operator: Operator,
    start: START = "",
    end: END = "",
    target: Annotated[str, typer.Option(help="Only those of this target.")] = "",
    limit: Annotated[int, typer.Option(help="How many.")] = 50,
) -> None:
    """List promises that were not kept, the newest first."""
    found = list(
        operator.api.each(
            "/sla/breaches", "breaches", most=limit, **period(start, end, operator.now), target_id=target
        )
    )
    rows = (
        (
            shown(one["breached_at"]),
            one["target_id"],
            one["kind"],
            one["alert_id"],
            shown(one["settled_at"]),
            "kept after all" if one["retracted"] else "",
        )
        for one in found
    )
    columns = ("breached", "target", "promise", "alert", "settled", "")
    operator.out.show({"breaches": found}, table(columns, rows))


def _budget(budget: Json) -> list[tuple[object, ...]]:
    return [
        (
            budget["target_id"],
            name,
            figures["kept"],
            figures["broken"],
            figures["made"] - figures["kept"] - figures["broken"],
            _percent(figures["share"]),
            f"{budget['objective']:.2%}",
            _percent(figures["budget_left"]),
            "–" if figures["burn_rate"] is None else f"{figures['burn_rate']:.1f}×",
        )
        for name in ("acknowledge", "resolve")
        if (figures := budget[name]) is not None
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
