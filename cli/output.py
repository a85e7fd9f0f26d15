"""Answers on the terminal: tables for people, JSON for scripts."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

NATURAL = 10_000
"""The width where there is no terminal: nothing is wrapped or cut that another program reads."""
PROSE = {"title", "source", "comment", "matchers", "layers", "steps", "tells", "name", ""}
"""The columns that are folded; ids, words and times are not."""
COLOURS = {
    "CRITICAL": "bold red",
    "HIGH": "red",
    "MEDIUM": "yellow",
    "LOW": "cyan",
    "INFO": "dim",
    "OPEN": "bold red",
    "ACKED": "yellow",
    "CLOSED": "green",
    "SUPPRESSED": "dim",
    "SERVING": "green",
    "AWAY": "bold red",
    "FAILED": "red",
    "ACTIVE": "bold",
    "EXPIRED": "dim",
}


@dataclass(frozen=True, slots=True)
class Output:
    """Where answers go; `as_json` makes each of them JSON."""

    as_json: bool = False

    def show(self, answer: Any, *drawn: "RenderableType") -> None:
        """Prints an answer: itself as JSON, or what is drawn of it."""
        if self.as_json:
            self.line(answer, indent=2)
            return
        screen = console()
        for one in drawn:
            if isinstance(one, str):
                screen.print(printable(one), soft_wrap=True)
            else:
                screen.print(one)

    def line(self, answer: Any, indent: int | None = None) -> None:
        """Prints an answer as JSON, on one line unless indented, at once."""
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=indent))
        sys.stdout.flush()

    def fail(self, message: str, error: Any) -> None:
        """Says on standard error what went wrong."""
        typer.echo(json.dumps({"error": error}, ensure_ascii=False) if self.as_json else message, err=True)


def console() -> "Console":
    """Standard output: in colour and as wide as it is on a terminal, plain and as wide as needed elsewhere."""
    from rich.console import Console

    screen = Console(highlight=False, markup=False, emoji=False)
    if not screen.is_terminal:
        screen.width = NATURAL
    return screen


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> "Table":
    """Rows below their headings, prose folded where room is short; words with a meaning in the domain are coloured."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", no_wrap=column not in PROSE)
    for row in rows:
        made.add_row(*map(coloured, row))
    return made


def facts(pairs: Iterable[tuple[str, object]]) -> "Table":
    """Names and values in two columns; pairs without a value are left out."""
    from rich.table import Table

    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            made.add_row(name, coloured(value))
    return made


def coloured(value: object) -> Any:
    """A value as text, never read as markup."""
    from rich.text import Text

    if isinstance(value, Text):
        return value
    text = printable(str(value))
    return Text(text, style=COLOURS.get(text, ""))


def printable(text: str) -> str:
    """A text without control characters but tabs and line ends: what senders put into a title moves no cursor."""
    return "".join(one if one.isprintable() or one in "\t\n" else "\N{REPLACEMENT CHARACTER}" for one in text)


def examples(*lines: str) -> str:
    """The epilogue of a command's help: one example a line."""
    return "\n\n".join(("[dim]Examples[/]", *(line.replace("[", r"\[") for line in lines)))
