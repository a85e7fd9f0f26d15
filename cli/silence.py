"""`tocsin silence`: keeps matching alerts quiet for a time."""

from contextlib import suppress
from datetime import datetime, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from cli.api import Json, escaped
from cli.completing import SILENCES, TEAMS
from cli.moments import coming, length, rfc3339, seconds, shown, spoken
from cli.operating import Operator, add, instant_of, operates
from cli.output import facts, table

app = typer.Typer(help="Silences: keep matching alerts quiet for a time.", no_args_is_help=True)
IN_FORCE = ("PENDING", "ACTIVE")
HEADINGS = ("silence", "state", "matchers", "from", "until", "recurs", "by", "team", "comment")


@operates(
    "tocsin silence add 'team=\"db\"' 2h --comment 'disk swap'",
    "tocsin silence add 'team=\"db\"' 'host=~\"web-.*\"' 30m --start +1h",
    "tocsin silence add 'team=\"db\"' 2h --team db",
    "tocsin silence add 'team=\"db\"' 8h --start 2026-03-01T22:00 --rrule FREQ=DAILY --time-zone Europe/Berlin",
)
def add_(
    operator: Operator,
    matchers: Annotated[list[str], typer.Argument(metavar="MATCHER", help="All must match: 'team=\"db\"'.")],
    until: Annotated[
        str,
        typer.Argument(
            metavar="UNTIL", help="How long, like 2h, or until when; with --rrule how long each window is."
        ),
    ],
    start: Annotated[str, typer.Option(help="From when on: now, +1h, 2026-03-01T09:00.")] = "now",
    comment: Annotated[str, typer.Option(help="Why.")] = "",
    silence_id: Annotated[str, typer.Option("--id", help="The silence's id (default: generated).")] = "",
    team: Annotated[
        str,
        typer.Option(
            help="The team whose members alone may end it (default: everybody may).", autocompletion=TEAMS
        ),
    ] = "",
    rrule: Annotated[
        str, typer.Option(help="Silence in windows that recur: FREQ=WEEKLY;BYDAY=SA,SU (RFC 5545).")
    ] = "",
    time_zone: Annotated[
        str, typer.Option(help="The zone whose clock --rrule and the windows follow, like Europe/Berlin.")
    ] = "",
    ends: Annotated[str, typer.Option(help="With --rrule: when no window begins any more.")] = "",
) -> None:
    """Silence the alerts that all the matchers match, once or, with --rrule, again and again."""
    zone = _zone(rrule, time_zone, ends)
    begin = instant_of("--start", lambda: _begin(start, zone, operator.now))
    body: Json = {
        "matchers": matchers,
        "comment": comment,
        "silence_rule_id": silence_id,
        "team_id": team,
    }
    if rrule:
        lasts = instant_of("UNTIL", lambda: length(until))
        body["recurrence"] = {
            "rrule": rrule,
            "time_zone": time_zone,
            "duration": f"{lasts.total_seconds():.0f}s",
        }
        if ends:
            body["ends_at"] = rfc3339(instant_of("--ends", lambda: coming(ends, now=begin)))
    else:
        body["ends_at"] = rfc3339(instant_of("UNTIL", lambda: coming(until, now=begin)))
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


def _zone(rrule: str, time_zone: str, ends: str) -> tzinfo | None:
    """The zone of a silence that recurs; a usage error for options that do not go together."""
    if not rrule:
        for option, value in (("--time-zone", time_zone), ("--ends", ends)):
            if value:
                raise typer.BadParameter(
                    "is for a silence that recurs; want --rrule with it", param_hint=option
                )
        return None
    if not time_zone:
        raise typer.BadParameter("is wanted with --rrule, like Europe/Berlin", param_hint="--time-zone")
    try:
        return ZoneInfo(time_zone)
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(f"{time_zone!r} is not a known zone", param_hint="--time-zone") from None


def _begin(text: str, zone: tzinfo | None, now: datetime) -> datetime:
    """When it starts: of one that recurs a time without an offset is one of its zone's clock."""
    begin = coming(text, now=now)
    if zone is None or text == "now" or text[:1] in "+-":
        return begin
    with suppress(ValueError):
        given = datetime.fromisoformat(text)
        return begin if given.tzinfo else given.replace(tzinfo=zone)
    return begin


def row(silence: Json) -> tuple[str, ...]:
    """A silence in a list."""
    return (
        silence["silence_rule_id"],
        silence["state"],
        " ".join(silence["matchers"]),
        shown(silence["starts_at"]),
        shown(silence["ends_at"]),
        _windows(silence),
        silence["created_by"],
        silence["team_id"],
        silence["comment"],
    )


def _windows(silence: Json) -> str:
    """How it recurs, and the window that is in force or comes next."""
    again = silence.get("recurrence")
    if not again:
        return ""
    begins = f", next {shown(silence['window_starts_at'])}" if silence.get("window_starts_at") else ""
    return f"{again['rrule']} {again['time_zone']} for {spoken(seconds(again['duration']))}{begins}"


def _show(operator: Operator, silence: Json) -> None:
    operator.out.show(silence, facts(zip(HEADINGS, row(silence), strict=True)))


add(app, "add", add_)
add(app, "list", list_)
add(app, "expire", expire)
