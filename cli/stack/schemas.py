"""The services' schemas: one role, one schema and one history of migrations for each."""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from cli.stack.child import StartError

CONTEXTS = ("roster", "escalation", "notify", "sla")


def role(context: str) -> str:
    """The login role of a service."""
    return f"tocsin_{context}"


def role_url(admin_url: str, context: str, password: str) -> str:
    """The address of the administrator's database for a service's role."""
    url = make_url(admin_url).set(username=role(context), password=password)
    return url.render_as_string(hide_password=False)


def script_location(context: str) -> Path | None:
    """The folder with a service's migrations, None when it has none."""
    spec = find_spec(f"services.{context}")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "migrations"
        if folder.is_dir():
            return folder
    return None


def create_database(admin_url: str, name: str) -> None:
    """Creates a database, unless it exists; `admin_url` is the superuser's address of any other."""
    with psycopg.connect(admin_url, autocommit=True) as conn:
        if conn.execute("select from pg_database where datname = %s", [name]).fetchone() is None:
            conn.execute(sql.SQL("create database {}").format(sql.Identifier(name)))


def fingerprint() -> str:
    """Tells whether migrating would do anything: a digest of all migrations and of what makes the roles."""
    digest = hashlib.sha256()
    machinery = find_spec("chassis.migrate")
    files = [Path(machinery.origin)] if machinery and machinery.origin else []
    for context in CONTEXTS:
        if location := script_location(context):
            files += sorted(location.glob("**/*.py"))
    for file in files:
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def migrate(admin_url: str, passwords: Mapping[str, str]) -> Iterator[str]:
    """Creates roles, schemas and extensions, then brings each schema to its head; names each schema when it is there.

    `passwords` maps contexts to the passwords of their roles. Raises StartError when the database refuses.
    """
    from alembic.util import CommandError

    from chassis import migrate as migrations  # brings Alembic, which the other commands do not need

    roles = {context: migrations.Role(role(context), passwords[context]) for context in CONTEXTS}
    step = "roles and schemas"
    try:
        migrations.prepare(admin_url, roles)
        for step in CONTEXTS:
            if location := script_location(step):
                migrations.upgrade(role_url(admin_url, step, passwords[step]), step, location)
            yield step
    except (SQLAlchemyError, psycopg.Error, CommandError) as error:
        raise StartError(f"{step}: the migration failed: {error}") from error
