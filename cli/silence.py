"""`tocsin silence`: keeps matching alerts quiet for a time."""

from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.completing import SILENCES
from cli.moments import coming, rfc3339, shown
from cli.operating import Operator, add, instant_of, operates
from cli.output import facts, table

app = typer.Typer(help="Silences: keep matching alerts quiet for a time.", no_args_is_help=True)
IN_FORCE = ("PENDING", "ACTIVE")
HEADINGS = ("silence", "state", "matchers", "from", "until", "by", "comment")


@operates(
    "tocsin silence add 'team=\"db\"' 2h --comment 'disk swap'",
    "tocsin silence add 'team=\"db\"' 'host=~\"web-.*\"' 30m --start +1h",
)
def add_(
    operator: Operator,
    matchers: Annotated[list[str], typer.Argument(metavar="MATCHER", help="All must match: 'team=\"db\"'.")],
    until: Annotated[str, typer.Argument(metavar="UNTIL", help="How long, like 2h, or until when.")],
    start: Annotated[str, typer.Option(help="From when on: now, +1h, 2026-03-01T09:00.")] = "now",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    silence_id: Annotated[str, typer.Option("--id", help="The silence's id (default: generated).")] = "",
) -> None:
    """Silence the alerts that all the matchers match."""
    begin = instant_of("--start", lambda: coming(start, now=operator.now))
    body: Json = {
        "matchers": matchers,
        "ends_at": rfc3339(instant_of("UNTIL", lambda: coming(until, now=begin))),
        "comment": comment,
        "silence_rule_id": silence_id,
    }
    if start != "now":
        body["starts_at"] = rfc3339(begin)
    _show(operator, operator.api.post("/silence-rules", body))


@operates("tocsin silence list", "tocsin silence list --all --json")
def list_(
    operator: Operator,
    every: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
) -> None:
    """List the silences that are in force or will be."""
    state = [] if every else list(IN_FORCE)
    found = list(operator.api.each("/silence-rules", "silence_rules", state=state))
    rows = table(HEADINGS, map(row, found)) if found else "no silences"
    operator.out.show({"silence_rules": found}, rows)


@operates("tocsin silence expire disk-swap")
def expire(
    operator: Operator,
    silence_id: Annotated[
        str, typer.Argument(metavar="SILENCE", help="The silence's id.", autocompletion=SILENCES)
    ],
) -> None:
    """End a silence now; it stays for the record."""
    _show(operator, operator.api.post(f"/silence-rules/{escaped(silence_id)}:expire", {}))


def row(silence: Json) -> tuple[str, ...]:
    """A silence in a list."""
    return (
        silence["silence_rule_id"],
        silence["state"],
        " ".join(silence["matchers"]),
        shown(silence["starts_at"]),
        shown(silence["ends_at"]),
        silence["created_by"],
        silence["comment"],
    )


def _show(operator: Operator, silence: Json) -> None:
    operator.out.show(silence, facts(zip(HEADINGS, row(silence), strict=True)))


add(app, "add", add_)
add(app, "list", list_)
add(app, "expire", expire)
