"""`tocsin schedule`: who is on call over days, drawn."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from cli.api import Json, escaped
from cli.bars import axis, bars
from cli.completing import SCHEDULES
from cli.moments import coming, rfc3339, shown
from cli.operating import Operator, add, instant_of, operates
from cli.output import console, facts, table

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(help="Schedules: who is on call, over days.", no_args_is_help=True)
MARGIN = 2
FEWEST, PLAIN, MOST = 28, 84, 168
"""Cells of a bar: at least, where there is no terminal, and at most."""
NOBODY = "(nobody)"


@operates("tocsin schedule list")
def list_(operator: Operator) -> None:
    """List the schedules."""
    found = list(operator.api.each("/oncall/schedules", "schedules"))
    rows = (
        (one["schedule_id"], one["display_name"], one["time_zone"], ", ".join(map(layer, one["layers"])))
        for one in found
    )
    operator.out.show({"schedules": found}, table(("schedule", "name", "zone", "layers"), rows))


@operates("tocsin schedule show web", "tocsin schedule show web --days 2 --start 2026-12-24")
def show(
    operator: Operator,
    schedule_id: Annotated[
        str, typer.Argument(metavar="SCHEDULE", help="The schedule's id.", autocompletion=SCHEDULES)
    ],
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days.")] = 14,
    start: Annotated[str, typer.Option(help="From when on: now, +7d, 2026-12-24.")] = "now",
) -> None:
    """Draw who is on call: a bar for each person, and each turn below, in the schedule's zone."""
    begin = instant_of("--start", lambda: coming(start, now=operator.now))
    end = begin + timedelta(days=days)
    path = f"/oncall/schedules/{escaped(schedule_id)}"
    schedule = operator.api.get(path)
    preview = operator.api.get(f"{path}:preview", start=rfc3339(begin), end=rfc3339(end))
    answer = {"schedule": schedule, "start": rfc3339(begin), "end": rfc3339(end), **preview}
    if operator.out.as_json:
        operator.out.show(answer)
        return
    zone = ZoneInfo(schedule["time_zone"])
    operator.out.show(
        answer,
        heading(schedule),
        chart(preview, begin, end, zone, cells=room(preview)),
        "",
        turns(preview, zone),
    )


def heading(schedule: Json) -> str:
    """What the schedule is, in a line."""
    layers = "; ".join(map(layer, schedule["layers"])) or "no layers"
    return f"{schedule['schedule_id']}  {schedule['display_name']}  {schedule['time_zone']}  {layers}\n"


def layer(one: Json) -> str:
    """A layer in a few words: `primary (ada, bob; WEEKLY)`."""
    rotation = one["rotation"]
    length = rotation["length"] or 1
    every = rotation["unit"] if length == 1 else f"{rotation['unit']} × {length}"
    return f"{one['name']} ({', '.join(who or '–' for who in one['responder_ids'])}; {every})"


def room(preview: Json) -> int:
    """How many cells a bar may have on this terminal."""
    screen = console()
    if not screen.is_terminal:
        return PLAIN
    names = [NOBODY, *(segment["responder_id"] for segment in preview["segments"])]
    return max(FEWEST, min(MOST, screen.width - max(map(len, names)) - MARGIN))


def chart(preview: Json, start: datetime, end: datetime, zone: ZoneInfo, *, cells: int) -> "Table":
    """A bar for each person and one for the gaps, below the days."""
    from rich.text import Text

    gaps = [{"responder_id": NOBODY, **gap} for gap in preview["gaps"]]
    rows = [("", axis(start, end, zone, cells))]
    rows += bars(preview["segments"], start, end, cells) + bars(gaps, start, end, cells)
    return facts(
        (
            name or " ",
            Text(bar, style="red" if name == NOBODY else "bold" if not name else "green", no_wrap=True),
        )
        for name, bar in rows
    )


def turns(preview: Json, zone: ZoneInfo) -> "Table":
    """Each turn and each gap, in the order of time."""
    rows = [
        (
            shown(one["starts_at"], zone),
            shown(one["ends_at"], zone),
            one.get("responder_id", NOBODY),
            " ".join(filter(None, (one.get("source"), one.get("layer")))),
        )
        for one in sorted([*preview["segments"], *preview["gaps"]], key=lambda one: str(one["starts_at"]))
    ]
    return table(("from", "until", "who", "by"), rows)


add(app, "list", list_)
add(app, "show", show)
