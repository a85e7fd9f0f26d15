"""What people do to alerts: take, end, escalate, put to sleep, hand on, comment."""

from typing import Annotated

import typer

from cli.alerts.drawing import sentence
from cli.api import Json, Refused, escaped
from cli.completing import ALERTS
from cli.moments import coming, length, rfc3339
from cli.operating import FAILED, Operator, instant_of, operates

ID = Annotated[str, typer.Argument(metavar="ALERT", help="The alert's id.", autocompletion=ALERTS)]
IDS = Annotated[list[str], typer.Argument(metavar="ALERT", help="The alerts' ids.", autocompletion=ALERTS)]
NOTE = Annotated[str, typer.Option(help="Kept in the timeline.")]
ACTOR = Annotated[str, typer.Option(help="Who does it, if not the token's subject (needs the scope act-as).")]


@operates("tocsin alerts ack 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 --note 'on it'")
def ack(operator: Operator, alert_ids: IDS, note: NOTE = "", actor: ACTOR = "") -> None:
    """Take alerts: they escalate no further."""
    _each(operator, alert_ids, "acknowledge", {"note": note, "actor": actor})


@operates("tocsin alerts close 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 --note 'disk replaced'")
def close(operator: Operator, alert_ids: IDS, note: NOTE = "", actor: ACTOR = "") -> None:
    """End alerts."""
    _each(operator, alert_ids, "close", {"note": note, "actor": actor})


@operates("tocsin alerts escalate 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 --level 3")
def escalate(
    operator: Operator,
    alert_id: ID,
    level: Annotated[int, typer.Option(min=0, help="The level to go to (default: the next one).")] = 0,
    note: NOTE = "",
    actor: ACTOR = "",
) -> None:
    """Tell the next level, or a chosen one, at once."""
    _each(operator, [alert_id], "escalate", {"level": level, "note": note, "actor": actor})


@operates(
    "tocsin alerts snooze 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 2h",
    "tocsin alerts snooze 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 2026-12-01T08:00",
)
def snooze(
    operator: Operator,
    alert_id: ID,
    until: Annotated[str, typer.Argument(metavar="UNTIL", help="How long, like 30m or 2h, or until when.")],
    note: NOTE = "",
    actor: ACTOR = "",
) -> None:
    """Let an alert sleep; it wakes up open and escalates from the first level."""
    body: Json = {"note": note, "actor": actor}
    try:
        body["duration"] = f"{length(until).total_seconds():.0f}s"
    except ValueError:
        body["until"] = rfc3339(instant_of("UNTIL", lambda: coming(until, now=operator.now)))
    _each(operator, [alert_id], "snooze", body)


@operates("tocsin alerts reassign 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 responder://bob")
def reassign(
    operator: Operator,
    alert_id: ID,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="responder://ID or oncall://SCHEDULE.")],
    note: NOTE = "",
    actor: ACTOR = "",
) -> None:
    """Give an alert to somebody else and tell them."""
    _each(operator, [alert_id], "reassign", {"target": target, "note": note, "actor": actor})


@operates("tocsin alerts reopen 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 --note 'it is back'")
def reopen(operator: Operator, alert_ids: IDS, note: NOTE = "", actor: ACTOR = "") -> None:
    """Open alerts again that somebody has taken or put to sleep: they escalate from the first level."""
    _each(operator, alert_ids, "reopen", {"note": note, "actor": actor})


@operates("tocsin alerts comment 0193a1c2-7b1e-7cc4-9f52-2f1d8a3c1e11 'waiting for the vendor'")
def comment(
    operator: Operator,
    alert_id: ID,
    note: Annotated[str, typer.Argument(metavar="NOTE", help="What there is to say.")],
    actor: ACTOR = "",
) -> None:
    """Add a note to the timeline of an alert."""
    _each(operator, [alert_id], "comment", {"note": note, "actor": actor})


VERBS = {
    "ack": ack,
    "close": close,
    "escalate": escalate,
    "snooze": snooze,
    "reassign": reassign,
    "reopen": reopen,
    "comment": comment,
}


def _each(operator: Operator, alert_ids: list[str], verb: str, body: Json) -> None:
    """Does a verb to each alert; a refusal of one does not keep it from the others, and ends the command with 1."""
    refused = False
    for alert_id in alert_ids:
        try:
            alert = operator.api.post(f"/alerts/{escaped(alert_id)}:{verb}", body)
        except Refused as error:
            if len(alert_ids) == 1:
                raise
            refused = True
            operator.out.fail(f"tocsin: {alert_id}: {error}", error.error)
        else:
            operator.out.show(alert, sentence(alert))
    if refused:
        raise typer.Exit(FAILED)
