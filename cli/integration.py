"""`tocsin integration`: where alerts come from, each with a routing key that is shown once."""

from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.completing import INTEGRATIONS, POLICIES, TEAMS
from cli.labels import labels
from cli.moments import length, shown
from cli.operating import Operator, add, instant_of, operates
from cli.output import facts, table

app = typer.Typer(help="Integrations: where alerts come from, each by its routing key.", no_args_is_help=True)
HEADINGS = ("integration", "name", "policy", "team", "labels", "since")
INTEGRATION = typer.Argument(metavar="INTEGRATION", help="The integration's id.", autocompletion=INTEGRATIONS)


@operates("tocsin integration add prometheus --policy web --label team=web")
def add_(
    operator: Operator,
    integration_id: Annotated[str, typer.Argument(metavar="NAME", help="The integration's id.")],
    policy: Annotated[
        str,
        typer.Option(help="The policy to follow (default: the one that matches).", autocompletion=POLICIES),
    ] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Added to each of its alerts; may be repeated."),
    ] = None,
    name: Annotated[str, typer.Option(help="For people (default: the id).")] = "",
    team: Annotated[
        str,
        typer.Option(
            help="The team whose members alone may change it (default: everybody may).", autocompletion=TEAMS
        ),
    ] = "",
) -> None:
    """Add an integration; its routing key is shown now and never again, with the addresses to point senders at."""
    body = {
        "integration_id": integration_id,
        "policy_id": policy,
        "labels": labels(label or []),
        "display_name": name,
        "team_id": team,
    }
    made = operator.api.post("/integrations", body)
    operator.out.show(made, facts([*_pairs(made), *addresses(operator.where.gateway, made["routing_key"])]))


@operates("tocsin integration list")
def list_(operator: Operator) -> None:
    """List the integrations, without their keys."""
    found = list(operator.api.each("/integrations", "integrations"))
    rows = table(HEADINGS, map(row, found)) if found else "no integrations"
    operator.out.show({"integrations": found}, rows)


@operates("tocsin integration rotate prometheus", "tocsin integration rotate prometheus --grace 0s")
def rotate(
    operator: Operator,
    integration_id: Annotated[str, INTEGRATION],
    grace: Annotated[str, typer.Option(help="How long the present key goes on working.")] = "24h",
) -> None:
    """Give an integration a new routing key; the present one works a while longer."""
    seconds = instant_of("--grace", lambda: length(grace)).total_seconds() if grace != "0s" else 0
    path = f"/integrations/{escaped(integration_id)}:rotate"
    made = operator.api.post(path, {"grace": f"{seconds:g}s"})
    operator.out.show(made, facts([*_pairs(made), *addresses(operator.where.gateway, made["routing_key"])]))


@operates("tocsin integration delete prometheus")
def delete(operator: Operator, integration_id: Annotated[str, INTEGRATION]) -> None:
    """Delete an integration; its key stops working at once, its alerts stay."""
    operator.api.delete(f"/integrations/{escaped(integration_id)}")
    operator.out.show({}, f"{integration_id} is deleted")


def row(one: Json) -> tuple[object, ...]:
    """An integration in a list."""
    written = " ".join(f"{name}={value}" for name, value in sorted(one["labels"].items()))
    return (
        one["integration_id"],
        one["display_name"],
        one["policy_id"],
        one["team_id"],
        written,
        shown(one["created_at"]),
    )


def addresses(gateway: str, key: str) -> list[tuple[str, str]]:
    """Where each kind of sender is pointed at."""
    own = f"{gateway}/api/alert/integrations/{key}"
    return [
        ("Alertmanager, Grafana", f"{own}/alertmanager"),
        ("CloudEvents", f"{own}/cloudevents"),
        ("scripts", f"{own}/events"),
        ("PagerDuty's form", f"{gateway}/v2/enqueue"),
        ("Opsgenie's form", f"{gateway}/v2/alerts"),
    ]


def _pairs(made: Json) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = list(zip(HEADINGS, row(made), strict=True))
    until = made.get("previous_key_expires_at")
    return [*pairs, ("routing key", made["routing_key"]), ("former key until", shown(until) if until else "")]


add(app, "add", add_)
add(app, "list", list_)
add(app, "rotate", rotate)
add(app, "delete", delete)
