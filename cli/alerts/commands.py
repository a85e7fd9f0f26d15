"""`tocsin alerts`: lists, shows and triggers alerts; what people do to them is in `verbs`."""

from datetime import datetime
from typing import Annotated

import typer

from cli.alerts import verbs
from cli.alerts.drawing import drawn, listed
from cli.api import Json, escaped
from cli.completing import POLICIES
from cli.labels import labels
from cli.moments import past, rfc3339
from cli.operating import Operator, add, instant_of, operates
from cli.output import console, facts

app = typer.Typer(help="Alerts: what is wrong, and what becomes of it.", no_args_is_help=True)
UNFINISHED = ["OPEN", "ACKED"]
STATES = "OPEN, ACKED, CLOSED or SUPPRESSED; may be repeated"
SEVERITIES = "CRITICAL, HIGH, MEDIUM, LOW or INFO"


@operates(
    "tocsin alerts list",
    "tocsin alerts list --state OPEN --severity CRITICAL --since 2h",
    "tocsin alerts list --all --match 'team=\"db\"' --json",
    "tocsin alerts list --text 'disk full' --since 2026-03-01 --until 2026-03-08 --all",
    "tocsin alerts list --exhausted",
)
def list_(
    operator: Operator,
    state: Annotated[list[str] | None, typer.Option(help=f"{STATES} (default: OPEN, ACKED).")] = None,
    every: Annotated[bool, typer.Option("--all", help="Alerts in every state.")] = False,
    severity: Annotated[list[str] | None, typer.Option(help=f"{SEVERITIES}; may be repeated.")] = None,
    match: Annotated[
        list[str] | None, typer.Option(help="A matcher, like 'team=\"db\"'; may be repeated.")
    ] = None,
    policy: Annotated[str, typer.Option(help="Only alerts of this policy.", autocompletion=POLICIES)] = "",
    source: Annotated[str, typer.Option(help="Only alerts of this source.")] = "",
    text: Annotated[
        str, typer.Option(help="Only alerts with these words in title or source; the last may be cut short.")
    ] = "",
    dedup_key: Annotated[str, typer.Option(help="Only alerts with this dedup key.")] = "",
    exhausted: Annotated[
        bool,
        typer.Option("--exhausted", help="Only alerts of which everybody was told and that nobody took."),
    ] = False,
    since: Annotated[str, typer.Option(help="Only alerts opened since: 2h (ago), 2026-03-01.")] = "",
    until: Annotated[str, typer.Option(help="Only alerts opened before: 2h (ago), 2026-03-08.")] = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many to show at most.")] = 50,
) -> None:
    """List alerts, the newest first: those that are not closed, unless told otherwise."""
    query = {
        "state": [] if every else [one.upper() for one in state or UNFINISHED],
        "severity": [one.upper() for one in severity or []],
        "matchers": match,
        "policy_id": policy,
        "source": source,
        "text": text,
        "dedup_key": dedup_key,
        "exhausted": "true" if exhausted else "",
        "start": _past("--since", since, operator.now),
        "end": _past("--until", until, operator.now),
    }
    alerts = list(operator.api.each("/alerts", "alerts", most=limit, **query))
    rows = listed(alerts, operator.now, console().width) if alerts else "no alerts"
    operator.out.show({"alerts": alerts}, rows)


@operates("tocsin alerts show 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11")
def show(operator: Operator, alert_id: verbs.ID) -> None:
    """Show an alert with its timeline: what people did, which levels were told, and what became of each page."""
    api, path = operator.api, f"/alerts/{escaped(alert_id)}"
    found: Json = {
        "alert": api.get(path),
        "actions": list(api.each(f"{path}/actions", "actions")),
        "executions": list(api.each(f"{path}/escalations", "executions")),
        "routes": list(api.each("/routes", "routes", alert_id=alert_id)),
    }
    operator.out.show(found, *drawn(found))


@operates(
    "tocsin alerts trigger 'disk full on db-1' --severity CRITICAL --label team=db",
    "tocsin alerts trigger 'disk full' --dedup-key disk:db-1 --policy databases",
)
def trigger(
    operator: Operator,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="One line for people.")],
    description: Annotated[str, typer.Option(help="As much as is known.")] = "",
    severity: Annotated[str, typer.Option(help=f"{SEVERITIES}.")] = "MEDIUM",
    source: Annotated[str, typer.Option(help="What found it.")] = "",
    dedup_key: Annotated[str, typer.Option(help="What makes two triggers the same alert.")] = "",
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")] = None,
    policy: Annotated[
        str,
        typer.Option(help="The policy to follow (default: the one that matches).", autocompletion=POLICIES),
    ] = "",
) -> None:
    """Report that something is wrong; answers the alert and what became of the trigger."""
    answer = operator.api.post(
        "/alerts",
        {
            "title": title,
            "description": description,
            "severity": severity.upper(),
            "source": source,
            "dedup_key": dedup_key,
            "labels": labels(label or []),
            "policy_id": policy,
        },
    )
    alert = answer["alert"]
    said = [
        (name, alert[name])
        for name in ("alert_id", "state", "severity", "title", "policy_id", "trigger_count")
    ]
    operator.out.show(answer, facts([("outcome", answer["outcome"]), *said]))


def _past(option: str, text: str, now: datetime) -> str:
    return rfc3339(instant_of(option, lambda: past(text, now=now))) if text else ""


add(app, "list", list_)
add(app, "show", show)
add(app, "trigger", trigger)
for name, verb in verbs.VERBS.items():
    add(app, name, verb)
