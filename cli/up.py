"""`tocsin up`: the whole stack on this machine, in the foreground."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.stack.child import StartError
from cli.stack.ports import Address

DEFAULT_DIR = Path("~/.local/share/tocsin")
DEFAULT_GATEWAY = "127.0.0.1:8080"
STATE = "stack.json"
MADE = ("postgres", "nats", "services", "logs", "secrets.json", STATE, "lock")
"""What a stack makes in its data directory."""
WHOLE = ("stack", "is ready")
WELCOME = """
  gateway    {url}
  API        {url}/docs
  addresses  {state} (and a token)
"""
Tell = Callable[[str, str], None]


def up(
    data_dir: Annotated[
        Path | None, typer.Option(help=f"Where the data is kept (default: {DEFAULT_DIR}).", file_okay=False)
    ] = None,
    gateway: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the gateway listens; port 0 takes a free one.")
    ] = DEFAULT_GATEWAY,
    ephemeral: Annotated[bool, typer.Option("--ephemeral", help="Remove the data at the end.")] = False,
) -> None:
    """Run Postgres, NATS and the five services on this machine until Ctrl-C."""
    try:
        address = Address.parse(gateway)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--gateway") from None
    try:
        with _directory(data_dir, ephemeral=ephemeral) as directory:
            _run(directory, address, ephemeral=ephemeral)
    except StartError as error:
        typer.echo(f"tocsin up: {error}", err=True)
        raise typer.Exit(1) from None


def _run(directory: Path, gateway: Address, *, ephemeral: bool) -> None:
    from cli.stack.credentials import Credentials
    from cli.stack.layout import Layout
    from cli.stack.supervisor import Supervisor

    layout = Layout.choose(directory, gateway)
    credentials = Credentials.kept_in(directory)
    with progress(layout.gateway_url, directory / STATE) as tell:
        asyncio.run(Supervisor(layout, credentials, tell=tell, ephemeral=ephemeral).run())


@contextmanager
def _directory(chosen: Path | None, *, ephemeral: bool) -> Iterator[Path]:
    """The data directory, locked; of an ephemeral one everything that the stack has made is removed at the end.

    Raises StartError rather than remove data that another run has made to be kept.
    """
    from cli.stack.lock import locked

    if chosen is None and ephemeral:
        chosen = Path(tempfile.mkdtemp(prefix="tocsin-"))
    directory = (chosen or DEFAULT_DIR).expanduser().absolute()
    with locked(directory):
        if ephemeral and (directory / "postgres").exists():
            raise StartError(
                f"{directory} holds data, which --ephemeral would remove: choose another --data-dir"
            )
        try:
            yield directory
        finally:
            if ephemeral:
                _remove(directory)


def _remove(directory: Path) -> None:
    for name in MADE:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not any(directory.iterdir()):
        directory.rmdir()


@contextmanager
def progress(url: str, state: Path) -> Iterator[Tell]:
    """Shows what becomes of each part: a line each, and on a terminal a spinner until all of them answer."""
    began = time.monotonic()
    console = Console(highlight=False)
    with console.status("starting") if console.is_terminal else nullcontext() as spinner:

        def tell(name: str, what: str) -> None:
            whole = (name, what) == WHOLE
            took = f" after {time.monotonic() - began:.1f} s" if whole else ""
            console.print(
                f"{datetime.now().astimezone():%H:%M:%S}  {name:<10}  {what}{took}",
                markup=False,
                soft_wrap=True,
            )
            if whole:
                if spinner:
                    spinner.stop()
                console.print(WELCOME.format(url=url, state=state), markup=False, soft_wrap=True)

        yield tell
