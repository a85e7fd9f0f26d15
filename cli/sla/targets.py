"""`tocsin sla targets`: what alerts are promised to meet."""

from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.completing import TARGETS
from cli.moments import length, seconds, spoken
from cli.operating import Operator, add, instant_of, operates
from cli.output import facts, table

app = typer.Typer(help="Targets: how soon alerts must be taken and closed.", no_args_is_help=True)
HEADINGS = ("target", "name", "matchers", "to ack", "to closing", "hours", "objective", "over")


@operates(
    "tocsin sla targets add critical 'severity=\"CRITICAL\"' --acknowledge 5m --resolve 4h --objective 0.99",
)
def add_(
    operator: Operator,
    target_id: Annotated[str, typer.Argument(metavar="TARGET", help="The target's id.")],
    matchers: Annotated[
        list[str] | None, typer.Argument(metavar="MATCHER", help="All must match: 'severity=\"CRITICAL\"'.")
    ] = None,
    acknowledge: Annotated[str, typer.Option(help="Within how long they are taken, like 5m.")] = "",
    resolve: Annotated[str, typer.Option(help="Within how long they are closed, like 4h.")] = "",
    objective: Annotated[float, typer.Option(help="The share of promises that must be kept.")] = 0.99,
    over: Annotated[str, typer.Option(help="Over how long that is reckoned.")] = "30d",
) -> None:
    """Make a target for alerts that open from now on; hours of business come from a file by `tocsin apply`."""
    body: Json = {
        "target_id": target_id,
        "matchers": matchers or [],
        "objective": objective,
        "budget_window": _seconds("--over", over),
    }
    if acknowledge:
        body["acknowledge_within"] = _seconds("--acknowledge", acknowledge)
    if resolve:
        body["resolve_within"] = _seconds("--resolve", resolve)
    made = operator.api.post("/sla/targets", body)
    operator.out.show(made, facts(zip(HEADINGS, row(made), strict=True)))


@operates("tocsin sla targets list")
def list_(operator: Operator) -> None:
    """List the targets; `tocsin sla budgets` shows how they do."""
    found = list(operator.api.each("/sla/targets", "targets"))
    operator.out.show({"targets": found}, table(HEADINGS, map(row, found)) if found else "no targets")


@operates("tocsin sla targets delete critical")
def delete(
    operator: Operator,
    target_id: Annotated[
        str, typer.Argument(metavar="TARGET", help="The target's id.", autocompletion=TARGETS)
    ],
) -> None:
    """End a target and its promises; breaches stay on the record."""
    operator.api.delete(f"/sla/targets/{escaped(target_id)}")
    operator.out.show({}, f"deleted {target_id}")


def row(target: Json) -> tuple[str, ...]:
    """A target in a list."""
    hours = target["business_hours"]
    return (
        target["target_id"],
        target["display_name"],
        " ".join(target["matchers"]),
        *(
            spoken(seconds(one)) if (one := target[name]) else "–"
            for name in ("acknowledge_within", "resolve_within")
        ),
        hours["time_zone"] if hours else "always",
        f"{target['objective']:.2%}",
        spoken(seconds(target["budget_window"])),
    )


def _seconds(option: str, text: str) -> str:
    """A length as the API takes it."""
    return f"{instant_of(option, lambda: length(text)).total_seconds():g}s"


add(app, "add", add_)
add(app, "list", list_)
add(app, "delete", delete)
