"""`tocsin demo`: boots an ephemeral stack, plays the story on it and says whether all of it was as expected."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

PATIENCE = 60.0
POLL = 0.02


def demo() -> None:
    """Play the main job on a stack of its own: who is paged, when and why; exit 1 where it differs from what is right."""
    from rich.console import Console

    from cli.demo.story import play

    console = Console(highlight=False)
    console.print("[bold]Tocsin[/]: one alert through all of it, on real Postgres, NATS and five services\n")
    with _stack(console) as stack:
        differences = asyncio.run(play(stack, console))
    if differences:
        console.print(
            f"\n[bold red]{len(differences)} things are not as they should be:[/] {'; '.join(differences)}"
        )
        raise typer.Exit(1)
    console.print("\n[bold green]Everything is as it should be.[/]")


@contextmanager
def _stack(console: Any) -> Iterator[dict[str, Any]]:
    """An ephemeral stack in a process of its own, stopped at the end; yields its stack.json."""
    with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as directory:
        data = Path(directory) / "data"
        Path(directory).chmod(0o755)
        log = Path(directory) / "up.log"
        began = time.monotonic()
        with log.open("wb") as output:
            command = [sys.executable, "-m", "cli", "up", "--ephemeral", "--data-dir", str(data)]
            process = subprocess.Popen(
                [*command, "--gateway", "127.0.0.1:0"], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            with console.status("starting Postgres, NATS and five services"):
                stack = _ready(process, data / "stack.json", log)
            console.print(
                f"[dim]{time.monotonic() - began:5.1f} s[/]  everything answers at {stack['gateway']}"
            )
            yield stack
        finally:
            process.terminate()
            if process.wait(30) != 0:
                console.print(f"[red]the stack did not stop cleanly: {process.returncode}[/]")


def _ready(process: "subprocess.Popen[bytes]", state: Path, log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while not state.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            typer.echo(f"the stack did not start:\n{log.read_text()[-2000:]}", err=True)
            raise typer.Exit(1)
        time.sleep(POLL)
    stack: dict[str, Any] = json.loads(state.read_text())
    return stack
