"""`tocsin oncall`: who is on call, now or at another instant."""

from typing import Annotated

import typer

from cli.api import Json
from cli.completing import SCHEDULES
from cli.moments import coming, rfc3339, shown
from cli.operating import Operator, instant_of, operates
from cli.output import table


@operates(
    "tocsin oncall", "tocsin oncall --schedule web", "tocsin oncall --at +8h", "tocsin oncall --at 2026-12-24"
)
def oncall(
    operator: Operator,
    schedule: Annotated[
        str, typer.Option(help="Only this schedule (default: all).", autocompletion=SCHEDULES)
    ] = "",
    at: Annotated[str, typer.Option(help="The instant: now, 8h (from now), -2h, 2026-03-01T09:00.")] = "now",
) -> None:
    """Show who is on call."""
    instant = instant_of("--at", lambda: coming(at, now=operator.now))
    found = operator.api.get(
        "/oncall:resolve", target=f"oncall://{schedule or 'active'}", at=rfc3339(instant)
    )
    operator.out.show(
        found, table(HEADINGS, map(row, found["responders"])) if found["responders"] else NOBODY
    )


NOBODY = "nobody is on call"
HEADINGS = ("responder", "schedule", "by", "until")


def row(one: Json) -> tuple[object, ...]:
    """A person on call: who, where, by what, until when."""
    until = shown(one["until"]) if one["until"] else "no end"
    return one["responder_id"], one["schedule_id"], one["shift_source"], until
