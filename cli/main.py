"""The `tocsin` command and its sub-commands."""

import typer

from cli.demo.command import demo
from cli.health import health
from cli.migrate import migrate
from cli.secrets import secrets
from cli.sink import sink
from cli.tokens import token
from cli.up import up

app = typer.Typer(
    name="tocsin",
    help="On-call alerting: who is on call, how an alert escalates, how it reaches them, how well it went.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (up, demo, token, sink, migrate, secrets, health):
    app.command()(command)
