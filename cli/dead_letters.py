"""`tocsin dead-letters`: events that a service could not handle."""

from collections.abc import Iterable
from typing import Annotated

import typer

from cli.api import Json
from cli.moments import shown
from cli.operating import FAILED, Operator, add, operates
from cli.output import table
from cli.stack.schemas import CONTEXTS

app = typer.Typer(help="Events that a service could not handle.", no_args_is_help=True)

SERVICE = Annotated[str, typer.Option(help=f"Only those of this service: {', '.join(CONTEXTS)}.")]
COLUMNS = ("buried", "consumer", "type", "event", "error")


@operates("tocsin dead-letters list", "tocsin dead-letters list --service sla")
def list_(operator: Operator, service: SERVICE = "") -> None:
    """List them, with what went wrong the last time that each was tried."""
    found = [
        letter
        for name in _services(service)
        for letter in operator.api.each(f"/dead-letters/{name}", "dead_letters")
    ]
    operator.out.show({"dead_letters": found}, table(COLUMNS, map(_row, found)))


@operates("tocsin dead-letters replay", "tocsin dead-letters replay --service sla 0197b2a0-…")
def replay(
    operator: Operator,
    events: Annotated[list[str] | None, typer.Argument(metavar="EVENT", help="Only these events.")] = None,
    service: SERVICE = "",
) -> None:
    """Handle them again, once what was wrong is mended; exit code 1 when some fail again."""
    replayed, failed = 0, list[Json]()
    for name in _services(service):
        answer = operator.api.post(f"/dead-letters/{name}:replay", {"event_ids": events or []})
        replayed += int(answer["replayed"])
        failed += answer["failed"]
    operator.out.show(
        {"replayed": replayed, "failed": failed},
        f"{replayed} handled, {len(failed)} failed again",
        *([table(COLUMNS, map(_row, failed))] if failed else []),
    )
    if failed:
        raise typer.Exit(FAILED)


def _services(service: str) -> Iterable[str]:
    if service and service not in CONTEXTS:
        raise typer.BadParameter(f"want one of {', '.join(CONTEXTS)}", param_hint="--service")
    return [service] if service else CONTEXTS


def _row(letter: Json) -> tuple[str, ...]:
    return shown(letter["at"]), letter["consumer"], letter["type"], letter["event_id"], letter["error"]


add(app, "list", list_)
add(app, "replay", replay)
