"""Every schema from nothing to its head, twice, by its own role, and without a statement that squawk refuses."""

import psycopg
import pytest

from chassis import migrate
from cli.stack.schemas import CONTEXTS, role_url, script_location
from tests.fixtures.postgres import PASSWORDS, TestDatabase
from tests.migrations.lint import main


def test_squawk_has_no_objection() -> None:
    """No lock that traffic would queue behind."""
    assert main() == 0


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_second_upgrade_has_nothing_to_do(database: TestDatabase, context: str) -> None:
    """`upgrade` says so and changes nothing."""
    location = script_location(context)
    assert location is not None
    assert migrate.upgrade(database.url(context), context, location) is False


@pytest.mark.parametrize("context", CONTEXTS)
def test_each_revision_by_itself_reaches_the_head(empty_database: TestDatabase, context: str) -> None:
    """Step by step, as a deployment that misses none would go."""
    roles = {name: migrate.Role(f"tocsin_{name}", password) for name, password in PASSWORDS.items()}
    migrate.prepare(empty_database.admin, roles)
    location = script_location(context)
    assert location is not None
    url = role_url(empty_database.admin, context, PASSWORDS[context])
    steps = 0
    while steps < 100 and migrate.upgrade(url, context, location, "head" if steps else "+1"):
        steps += 1
    with psycopg.connect(url) as conn:
        found = conn.execute(f"select count(*) from {context}.alembic_version").fetchone()
        assert found == (1,)
    assert steps >= 1


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_role_cannot_read_another_schema(database: TestDatabase, context: str) -> None:
    """Not even by mistake."""
    others = [other for other in CONTEXTS if other != context]
    with psycopg.connect(database.url(context), autocommit=True) as conn:
        for other in others:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(f"select * from {other}.outbox")
