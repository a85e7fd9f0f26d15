"""`tocsin token`: a bearer token, signed with the key of a stack or of the environment."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def token(
    subject: Annotated[str, typer.Option(help="Whose token it is: the actor of what is done with it.")],
    scope: Annotated[list[str], typer.Option(help="A scope, like alerts:write or admin; may be repeated.")],
    ttl: Annotated[
        str, typer.Option(help="How long it is valid: 90s, 30m, 24h, 7d; `never` does not end.")
    ] = "24h",
    data_dir: Annotated[
        Path | None, typer.Option(help="The data directory of `tocsin up`; else TOCSIN_TOKEN_KEY is the key.")
    ] = None,
) -> None:
    """Print a bearer token."""
    from chassis.auth import mint
    from identity.scopes import SCOPES

    if unknown := sorted({*scope} - {*SCOPES}):
        raise typer.BadParameter(
            f"{', '.join(map(repr, unknown))}: no such scope; want some of {', '.join(SCOPES)}",
            param_hint="--scope",
        )
    try:
        lifetime = None if ttl == "never" else duration(ttl)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--ttl") from None
    typer.echo(mint(_key(data_dir), subject=subject, scopes=scope, ttl=lifetime))


def duration(text: str) -> timedelta:
    """Reads `90s`, `30m`, `24h` or `7d`; raises ValueError for anything else and for nothing."""
    found = re.fullmatch(r"([1-9][0-9]{0,8})([smhd])", text)
    if not found:
        raise ValueError(f"{text!r} is not a duration like 90s, 30m, 24h or 7d")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def _key(data_dir: Path | None) -> str:
    from cli.stack.child import StartError
    from cli.stack.credentials import Credentials

    if data_dir is not None:
        try:
            return Credentials.read(data_dir.expanduser()).token_key
        except StartError as error:
            raise typer.BadParameter(str(error), param_hint="--data-dir") from None
    key = os.environ.get("TOCSIN_TOKEN_KEY")
    if not key:
        raise typer.BadParameter("give --data-dir, or set TOCSIN_TOKEN_KEY", param_hint="--data-dir")
    return key
