"""`tocsin sla rebuild` and `check`: the figures made anew, or held against their alerts."""

import time
from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.operating import FAILED, Operator, operates

POLL = 0.5
"""Seconds between two looks at a run."""


@operates("tocsin sla rebuild", "tocsin sla rebuild --from stream")
def rebuild(
    operator: Operator,
    origin: Annotated[
        str, typer.Option("--from", help="facts, or stream: every event that it still has.", metavar="ORIGIN")
    ] = "facts",
) -> None:
    """Make the figures anew, from what is known of each alert or from the events."""
    kinds = {"facts": "FACTS", "stream": "STREAM"}
    if origin not in kinds:
        raise typer.BadParameter("want facts or stream", param_hint="--from")
    found = _followed(operator, kinds[origin])
    operator.out.show(found, f"rebuilt from {found['done']} {'facts' if origin == 'facts' else 'events'}")


@operates("tocsin sla check")
def check(operator: Operator) -> None:
    """Hold the figures against the alerts that they are of; exit code 1 when they differ."""
    found = _followed(operator, "CHECK")
    wrong = int(found["differences"])
    operator.out.show(
        found,
        f"{found['done']} facts: {f'{wrong} numbers differ; see tocsin sla rebuild' if wrong else 'all figures are right'}",
    )
    if wrong:
        raise typer.Exit(FAILED)


def _followed(operator: Operator, kind: str) -> Json:
    """Starts a run and waits for its end, with its progress on a terminal."""
    from rich.console import Console
    from rich.progress import Progress

    run = operator.api.post("/sla/runs", {"kind": kind})
    with Progress(console=Console(stderr=True), disable=operator.out.as_json, transient=True) as progress:
        task = progress.add_task(kind.lower(), total=None)
        while run["state"] == "RUNNING":
            time.sleep(POLL)
            run = operator.api.get(f"/sla/runs/{escaped(run['run_id'])}")
            progress.update(task, total=int(run["total"]) or None, completed=int(run["done"]))
    return run
