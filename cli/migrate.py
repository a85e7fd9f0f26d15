"""`tocsin migrate`: every service's role and schema brought up to date in a Postgres of your own."""

import time
from datetime import timedelta

import typer

PATIENCE = timedelta(seconds=30)
"""How long the database may take to answer."""
PAUSE = 0.2


def migrate() -> None:
    """Create roles and schemas and bring them up to date, in the database of TOCSIN_ADMIN_DATABASE_URL.

    The passwords that the services' roles get are TOCSIN_ROSTER_PASSWORD, TOCSIN_ESCALATION_PASSWORD,
    TOCSIN_NOTIFY_PASSWORD and TOCSIN_SLA_PASSWORD. Each of the five may be a file in TOCSIN_SECRETS_DIR instead,
    named like the variable in lower case.
    """
    from pydantic import ValidationError

    from cli.settings import MigrateSettings
    from cli.stack import schemas
    from cli.stack.child import StartError

    try:
        settings = MigrateSettings()
    except ValidationError as error:
        names = ", ".join(f"TOCSIN_{str(one['loc'][0]).upper()}" for one in error.errors())
        typer.echo(f"tocsin migrate: not set, or not valid: {names}", err=True)
        raise typer.Exit(1) from None
    _wait_for(settings.admin_database_url)
    try:
        for context in schemas.migrate(settings.admin_database_url, settings.passwords()):
            typer.echo(f"{context} is up to date")
    except StartError as error:
        typer.echo(f"tocsin migrate: {error}", err=True)
        raise typer.Exit(1) from None


def _wait_for(url: str) -> None:
    """Returns when the database answers; exits with its complaint when it does not for 30 s."""
    import psycopg

    deadline = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                typer.echo(f"tocsin migrate: {error}", err=True)
                raise typer.Exit(1) from None
            time.sleep(PAUSE)
        else:
            return
