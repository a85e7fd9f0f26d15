"""`tocsin policy`: whom an alert reaches, level by level."""

from datetime import timedelta
from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.completing import POLICIES
from cli.moments import seconds, spoken
from cli.operating import Operator, add, operates
from cli.output import facts, table
from cli.plan import preview

app = typer.Typer(help="Escalation policies: whom an alert reaches, level by level.", no_args_is_help=True)


@operates("tocsin policy list")
def list_(operator: Operator) -> None:
    """List the policies in the order in which they are tried."""
    found = sorted(
        operator.api.each("/escalation-policies", "escalation_policies"),
        key=lambda one: (int(one["priority"]), str(one["policy_id"])),
    )
    rows = (
        (one["policy_id"], one["priority"], ", ".join(one["matchers"]), " → ".join(map(step, one["steps"])))
        for one in found
    )
    operator.out.show(
        {"escalation_policies": found}, table(("policy", "priority", "matchers", "steps"), rows)
    )


@operates("tocsin policy show default")
def show(
    operator: Operator,
    policy_id: Annotated[
        str, typer.Argument(metavar="POLICY", help="The policy's id.", autocompletion=POLICIES)
    ],
) -> None:
    """Show a policy: what it is for, and who is told when if nobody takes the alert."""
    found = operator.api.get(f"/escalation-policies/{escaped(policy_id)}")
    trigger = found["repeat_trigger"]
    pairs = [
        ("policy", f"{found['policy_id']}  {found['display_name']}"),
        ("for", " and ".join(found["matchers"]) or "alerts that name it"),
        ("priority", found["priority"]),
        ("handover", found["handover"]),
        ("repeats", found["repeat_count"] or "no"),
        ("repeat trigger", f"{trigger['threshold']} within {waits(trigger['window'])}" if trigger else ""),
    ]
    operator.out.show(
        found, facts(pairs), "", table(("level", "after", "tells", "then waits"), levels(found))
    )


def step(one: Json) -> str:
    """A step in a few words: `oncall://web (5m)`."""
    return f"{' + '.join(one['targets'])} ({waits(one['ack_timeout'])})"


def levels(policy: Json) -> list[tuple[str, str, str, str]]:
    """Level, time since the alert opened, targets and timeout of each step of the first round."""
    rows, after = [], timedelta()
    for number, one in enumerate(policy["steps"], 1):
        rows.append((str(number), spoken(after), ", ".join(one["targets"]), waits(one["ack_timeout"])))
        after += seconds(one["ack_timeout"])
    return rows


def waits(text: str) -> str:
    """A duration of the API for people."""
    return spoken(seconds(text))


add(app, "list", list_)
add(app, "show", show)
add(app, "preview", preview)
