"""`tocsin keys`: credentials of programs, which every service accepts until they are revoked."""

from typing import Annotated

import typer

from cli.api import Json, escaped
from cli.moments import coming, rfc3339, shown
from cli.operating import Operator, add, instant_of, operates
from cli.output import facts, table

app = typer.Typer(help="API keys: credentials of programs.", no_args_is_help=True)
HEADINGS = ("key", "name", "acts as", "scopes", "calls/s", "ends", "last used", "by")


@operates(
    "tocsin keys create --scope alerts:write --name 'the build' --id build",
    "tocsin keys create --scope alerts:read --subject ada --until 90d --json",
)
def create(
    operator: Operator,
    scope: Annotated[list[str], typer.Option(help="What it may do, like alerts:write; may be repeated.")],
    key_id: Annotated[str, typer.Option("--id", help="The key's id (default: generated).")] = "",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    subject: Annotated[str, typer.Option(help="In whose name it acts (default: its own).")] = "",
    until: Annotated[str, typer.Option(help="When it ends: 90d, 2027-01-01 (default: never).")] = "",
    rate: Annotated[int, typer.Option(help="Calls a second (default: the installation's).", min=0)] = 0,
) -> None:
    """Make a key and print its secret, which is shown this once."""
    body: Json = {
        "api_key_id": key_id,
        "display_name": name,
        "subject": subject,
        "scopes": scope,
        "rate_limit": rate,
    }
    if until:
        body["expires_at"] = rfc3339(instant_of("--until", lambda: coming(until, now=operator.now)))
    made = operator.api.post("/api-keys", body)
    pairs = [*zip(HEADINGS, row(made), strict=True), ("secret", made["secret"])]
    operator.out.show(
        made, facts(pairs), "The secret is not shown again: send it as `authorization: Bearer …`."
    )


@operates("tocsin keys list", "tocsin keys list --subject ada --json")
def list_(
    operator: Operator,
    subject: Annotated[str, typer.Option(help="Only keys that act in this name.")] = "",
) -> None:
    """List the keys, without their secrets."""
    found = list(operator.api.each("/api-keys", "api_keys", subject=subject))
    operator.out.show({"api_keys": found}, table(HEADINGS, map(row, found)) if found else "no API keys")


@operates("tocsin keys revoke build")
def revoke(
    operator: Operator,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The key's id.")],
) -> None:
    """End a key now: within a second no service accepts it."""
    operator.api.delete(f"/api-keys/{escaped(key_id)}")
    operator.out.show({"api_key_id": key_id, "revoked": True}, f"{key_id} is revoked")


def row(key: Json) -> tuple[str, ...]:
    """A key in a list."""
    return (
        key["api_key_id"],
        key["display_name"],
        key["subject"],
        " ".join(key["scopes"]),
        str(key["rate_limit"] or ""),
        shown(key["expires_at"]) if key["expires_at"] else "",
        shown(key["last_used_at"]) if key["last_used_at"] else "",
        key["created_by"],
    )


add(app, "create", create)
add(app, "list", list_)
add(app, "revoke", revoke)
