"""Roles, schemas and Alembic histories: one of each per service."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import alembic.command
from alembic import context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg import sql
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

LOCK_TIMEOUT = "2s"
"""How long a migration waits for a lock, and traffic behind it."""
ROLE_SETTINGS = {
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "15s",
    "jit": "off",
}
EXTENSIONS = ("btree_gist",)


@dataclass(frozen=True, slots=True)
class Role:
    """The login role that owns a schema."""

    name: str
    password: str


def prepare(admin_url: str, schemas: Mapping[str, Role]) -> None:
    """Creates roles, schemas and extensions where they are missing, and sets the passwords and time limits.

    `admin_url` names the database and a role that may create roles. Safe to repeat.
    """
    url = make_url(admin_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for extension in EXTENSIONS:
            conn.execute(text(f"create extension if not exists {extension} with schema public"))
        raw = conn.connection.driver_connection
        assert raw is not None
        for schema, role in schemas.items():
            known = raw.execute("select 1 from pg_roles where rolname = %s", [role.name]).fetchone()
            verb = sql.SQL("alter" if known else "create")
            names = {"role": sql.Identifier(role.name), "schema": sql.Identifier(schema)}
            raw.execute(
                sql.SQL("{} role {role} login password {}").format(verb, sql.Literal(role.password), **names)
            )
            raw.execute(sql.SQL("create schema if not exists {schema} authorization {role}").format(**names))
            raw.execute(sql.SQL("alter role {role} set search_path = {schema}, public").format(**names))
            for key, value in ROLE_SETTINGS.items():
                raw.execute(
                    sql.SQL("alter role {role} set {} = {}").format(
                        sql.Identifier(key), sql.Literal(value), **names
                    )
                )
    engine.dispose()


def upgrade(url: str, schema: str, location: Path, revision: str = "head") -> bool:
    """Brings a schema to a revision as its owner; False when it was there already.

    One migrator at a time works on a schema; each migration is a transaction of its own and gives up after
    2 seconds without its locks, so that it never queues traffic behind itself for longer.
    """
    config = Config()
    config.set_main_option("script_location", str(location))
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as conn:
            conn.execute(text("set statement_timeout = 0"))
            conn.execute(
                text("select pg_advisory_lock(hashtext(:name))"), {"name": f"tocsin-migrate-{schema}"}
            )
            conn.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
            conn.commit()
            heads = MigrationContext.configure(conn).get_current_heads()
            conn.rollback()
            if revision == "head" and set(heads) == set(ScriptDirectory.from_config(config).get_heads()):
                return False
            config.attributes["connection"] = conn
            alembic.command.upgrade(config, revision)
            conn.commit()
            return True
    finally:
        engine.dispose()


def online() -> None:
    """What a service's `migrations/env.py` calls: runs the migrations on the connection that `upgrade` made.

    In Alembic's offline mode it renders them as SQL instead, for the linter.
    """
    conn = context.config.attributes.get("connection")
    if conn is None:
        context.configure(dialect_name="postgresql", literal_binds=True, transaction_per_migration=True)
    else:
        context.configure(connection=conn, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
