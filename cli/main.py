"""The `tocsin` command and its sub-commands."""

from typing import Annotated

import typer

from cli.lazy import lazy_group

COMMANDS = {
    "On call": {
        "status": "cli.status:status",
        "oncall": "cli.oncall:oncall",
        "alerts": "cli.alerts.commands:app",
        "schedule": "cli.schedule:app",
        "policy": "cli.policy:app",
        "silence": "cli.silence:app",
        "integration": "cli.integration:app",
        "sla": "cli.sla.commands:app",
        "tail": "cli.tail:tail",
        "apply": "cli.declared.commands:apply",
        "export": "cli.declared.commands:export",
        "import": "cli.importing:import_",
    },
    "The stack": {
        "up": "cli.up:up",
        "demo": "cli.demo.command:demo",
        "keys": "cli.keys:app",
        "token": "cli.tokens:token",
        "sink": "cli.sink:sink",
        "migrate": "cli.migrate:migrate",
        "secrets": "cli.secrets:secrets",
        "health": "cli.health:health",
        "dead-letters": "cli.dead_letters:app",
    },
}
app = typer.Typer(
    name="tocsin",
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """On-call alerting: who is on call, how an alert escalates, how it reaches them, how well it went."""
