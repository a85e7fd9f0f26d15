"""Commands for those who run a stack: all of them find it, answer and fail in the same way."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from cli.api import Api, Refused, Unreachable
from cli.output import Output, examples
from cli.where import DEFAULT_DIR, Named, Unknown, Where, find

P = ParamSpec("P")
Moment = TypeVar("Moment", datetime, timedelta)
FAILED, USAGE, AWAY = 1, 2, 3
"""Exit codes: the call failed or was refused; the command is not right; nobody there to answer."""
PANEL = "Which stack"


@dataclass(frozen=True)
class Operator:
    """What a command works with: the stack, where answers go, and the instant at which it was called."""

    named: Named
    out: Output
    now: datetime

    @functools.cached_property
    def where(self) -> Where:
        """Where the stack is; raises Unknown."""
        return find(self.named, os.environ)

    @functools.cached_property
    def api(self) -> Api:
        """The API of the stack; raises Unknown."""
        return Api(self.where)


GATEWAY = Annotated[
    str, typer.Option(metavar="URL", help="The gateway; or TOCSIN_GATEWAY.", rich_help_panel=PANEL)
]
TOKEN = Annotated[str, typer.Option(help="A bearer token; or TOCSIN_TOKEN.", rich_help_panel=PANEL)]
DATA_DIR = Annotated[
    Path | None,
    typer.Option(
        help=f"The data directory of a `tocsin up` (default: {DEFAULT_DIR}).", rich_help_panel=PANEL
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Answer with JSON.")]


def operates(*lines: str) -> Callable[[Callable[Concatenate[Operator, P], None]], Callable[..., None]]:
    """Makes a function of an Operator a command: it gets the options that name a stack, --json, examples and exit codes."""

    def command(function: Callable[Concatenate[Operator, P], None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*, gateway: str, token: str, data_dir: Path | None, as_json: bool, **given: Any) -> None:
            out = Output(as_json)
            try:
                operator = Operator(Named(gateway, token, data_dir), out, datetime.now(UTC))
                function(operator, **given)  # type: ignore[call-arg]
            except Unknown as error:
                _fail(out, USAGE, {"status": "USAGE", "message": str(error)})
            except Unreachable as error:
                _fail(out, AWAY, {"status": "UNAVAILABLE", "message": str(error)})
            except Refused as error:
                _fail(out, FAILED, error.error)
            except BrokenPipeError:  # whoever read the answer has seen enough
                raise
            except OSError as error:
                _fail(out, FAILED, {"status": "UNKNOWN", "message": error.strerror or str(error)})

        _, *own = inspect.signature(function, eval_str=True).parameters.values()
        run.__signature__ = inspect.Signature([*_keywords(own), *SHARED])  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in (*own, *SHARED)}
        run.epilog = examples(*lines)  # type: ignore[attr-defined]
        return run

    return command


def add(app: typer.Typer, name: str, function: Callable[..., None]) -> None:
    """Registers a command of `operates` with its examples."""
    app.command(name, epilog=function.epilog)(function)  # type: ignore[attr-defined]


def instant_of(option: str, read: Callable[[], Moment]) -> Moment:
    """What an option says of time, an instant or a length; a usage error that names the option when it says nothing."""
    try:
        return read()
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _keywords(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]


def _shared(name: str, annotation: Any, default: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


SHARED = [
    _shared("as_json", JSON, False),
    _shared("gateway", GATEWAY, ""),
    _shared("token", TOKEN, ""),
    _shared("data_dir", DATA_DIR, None),
]


def _fail(out: Output, code: int, error: dict[str, Any]) -> None:
    """Ends the command with what went wrong; the API's message names every wrong field."""
    out.fail(f"tocsin: {error.get('message', error)}", error)
    raise typer.Exit(code)
