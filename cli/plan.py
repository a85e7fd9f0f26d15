"""`tocsin policy preview`: every page that an escalation would send if nobody acknowledged, as a timeline."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.api import Json
from cli.bars import dots, ruler
from cli.labels import labels
from cli.moments import coming, parsed, rfc3339, shown, spoken
from cli.operating import Operator, instant_of, operates
from cli.output import console, facts, table

if TYPE_CHECKING:
    from rich.table import Table

HEADINGS = ("after", "at", "level", "reason", "tells", "by")
NOBODY = "(nobody)"
SHORTEST = timedelta(minutes=1)
"""What a chart shows at least."""
NARROWEST, WIDEST, MARGIN = 24, 72, 2
"""Cells of a line, at least and at most, and what is between it and its name."""


@operates(
    "tocsin policy preview web --severity CRITICAL",
    "tocsin policy preview --label team=db --start 2026-12-24T18:00",
    "tocsin policy preview --alert 0191e7a2-7a53-7c1e-8f7e-0d6f2d1f6a11",
)
def preview(
    operator: Operator,
    policy_id: Annotated[str, typer.Argument(metavar="[POLICY]", help="The policy to follow.")] = "",
    alert: Annotated[str, typer.Option(help="What is left of this alert's escalation.")] = "",
    severity: Annotated[str, typer.Option(help="The alert's severity (default: MEDIUM).")] = "",
    label: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A label of it.")] = None,
    source: Annotated[str, typer.Option(help="Its source.")] = "",
    title: Annotated[str, typer.Option(help="Its title.")] = "",
    start: Annotated[str, typer.Option(help="When it opens: now, +8h, 2026-03-01T09:00.")] = "now",
) -> None:
    """Show who would be told when, with handovers, if nobody took the alert."""
    body: Json = {
        "policy_id": policy_id,
        "alert_id": alert,
        "source": source,
        "title": title,
        "labels": labels(label or ()),
    }
    if severity:
        body["severity"] = severity.upper()
    if start != "now":
        body["start"] = rfc3339(instant_of("--start", lambda: coming(start, now=operator.now)))
    found = operator.api.post("/escalation-policies:preview", {k: v for k, v in body.items() if v})
    begin = parsed(found["start"])
    operator.out.show(
        found,
        facts(
            [("policy", found["policy_id"]), ("from", shown(found["start"])), ("ends", _end(found, begin))]
        ),
        *([facts(map(quiet, found["quiet_times"]))] if found["quiet_times"] else []),
        "",
        *(
            (chart(found, begin), "", table(HEADINGS, rows(found["pages"], begin)))
            if found["pages"]
            else ["nobody is told"]
        ),
    )


def chart(found: Json, start: datetime) -> "Table":
    """A line for each person with a dot at each page, below how long after the start it is, until the end."""
    from rich.text import Text

    pages = found["pages"]
    told = [(name, parsed(page["at"])) for page in pages for name in page["recipients"] or [NOBODY]]
    ends = [parsed(found[name]) for name in ("exhausted_at", "cut_at") if found[name]]
    last = max(*ends, *(at for _, at in told), start + SHORTEST)
    screen = console()
    room = screen.width - max(len(name) for name, _ in told) - MARGIN if screen.is_terminal else WIDEST
    cells = max(NARROWEST, min(WIDEST, room))
    lines = [
        (" ", Text(ruler([at for _, at in told] + ends, start, last, cells), style="bold", no_wrap=True))
    ]
    for name, line in dots(told, start, last, cells):
        lines.append((name, Text(line, style="red" if name == NOBODY else "green", no_wrap=True)))
    return facts(lines)


def rows(pages: Sequence[Json], start: datetime) -> list[tuple[str, ...]]:
    """The pages as a timeline: how long after the start, when, which level of which time, why, whom, by what."""
    again = any(page["round"] for page in pages)
    return [
        (
            f"+{spoken(parsed(page['at']) - start)}",
            shown(page["at"]),
            f"{page['round'] + 1}.{page['level']}" if again else str(page["level"]),
            page["reason"],
            ", ".join(page["recipients"]) or "nobody",
            ", ".join(page["targets"]) + (" (catch-all)" if page["catch_all"] else ""),
        )
        for page in pages
    ]


def quiet(time: Json) -> tuple[str, str]:
    """What keeps the alert quiet, and when."""
    front = f" (alert {time['parent_alert_id']})" if time["parent_alert_id"] else ""
    until = shown(time["ends_at"]) if time["ends_at"] else "nobody can tell when"
    return "quiet", f"{shown(time['starts_at'])} until {until}: {time['suppressed_by']}{front}"


def _end(found: Json, start: datetime) -> str:
    if found["exhausted_at"]:
        return f"exhausted after {spoken(parsed(found['exhausted_at']) - start)}"
    if found["cut_at"]:
        return f"goes on after {spoken(parsed(found['cut_at']) - start)}; not shown"
    return "nothing is left to come"
