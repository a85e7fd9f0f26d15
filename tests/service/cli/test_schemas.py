"""`tocsin migrate` gives each service a role and a schema that no other service can read."""

from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.stack import schemas
from cli.stack.postgres import Postgres
from tests.fixtures.postgres import PASSWORDS, TestDatabase


def secrets(directory: Path, admin_url: str) -> Path:
    """The five settings as files, the way a container gets them."""
    (directory / "tocsin_admin_database_url").write_text(admin_url)
    for context, password in PASSWORDS.items():
        (directory / f"tocsin_{context}_password").write_text(password)
    return directory


def test_migrate_makes_every_schema_and_may_be_repeated(empty_database: TestDatabase, tmp_path: Path) -> None:
    environment = {"TOCSIN_SECRETS_DIR": str(secrets(tmp_path, empty_database.admin))}
    for _ in range(2):
        done = CliRunner().invoke(app, ["migrate"], env=environment)
        assert done.exit_code == 0, done.output
        assert done.stdout.split() == [
            word for context in schemas.CONTEXTS for word in (context, "is", "up", "to", "date")
        ]
    for context in schemas.CONTEXTS:
        with psycopg.connect(empty_database.url(context)) as conn:
            found = conn.execute("select current_schema(), current_user").fetchone()
        assert found == (context, schemas.role(context))


@pytest.mark.parametrize("context", schemas.CONTEXTS)
def test_a_service_sees_no_schema_but_its_own(database: TestDatabase, context: str) -> None:
    with psycopg.connect(database.url(context), autocommit=True) as conn:
        conn.execute("create table mine (n integer)")
        for other in schemas.CONTEXTS:
            if other != context:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"create table {other}.theirs (n integer)")
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    conn.execute(f"select * from {other}.alembic_version")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("create table public.everyones (n integer)")


def test_a_clone_has_no_rows_of_other_tests(database: TestDatabase) -> None:
    with psycopg.connect(database.url("roster")) as conn:
        tables = conn.execute("select to_regclass('roster.mine')").fetchone()
    assert tables == (None,)


def test_a_database_is_created_once(postgres: Postgres) -> None:
    for _ in range(2):
        schemas.create_database(postgres.url(), "made once")
    with psycopg.connect(postgres.url(), autocommit=True) as conn:
        conn.execute('drop database "made once"')


def test_a_password_may_hold_anything(postgres: Postgres) -> None:
    url = schemas.role_url(postgres.url(), "roster", "p@ss/w:rd?#%")
    assert "p%40ss%2Fw%3Ard" in url
