"""The keys of webhooks on their way from readable to sealed: no step loses one, and each runs with the code before it."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from chassis import migrate
from cli.stack.schemas import role_url, script_location
from tests.fixtures.postgres import PASSWORDS, TestDatabase

BEFORE, CLOSED, GONE = "0008", "0009", "0010"
SEALED = b"\x01sealed"
AS_BEFORE = """insert into contact_methods (contact_method_id, responder_id, channel, address, secret, enabled, min_severity,
    delay, disabled_reason, created_at, sealed_secret, sealed_at)
    values (%s, 'ada', 'WEBHOOK', 'https://example.org', %s, true, 'INFO', '0', '', now(), %s, now())"""
AS_NOW = """insert into contact_methods (contact_method_id, responder_id, channel, address, enabled, min_severity, delay,
    disabled_reason, created_at, sealed_secret) values (%s, 'ada', 'WEBHOOK', 'https://example.org', true, 'INFO', '0', '', now(), %s)"""
Conn = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def url(empty_database: TestDatabase) -> str:
    """Notify's own address of a database as it was before the key stopped being readable."""
    roles = {"notify": migrate.Role("tocsin_notify", PASSWORDS["notify"])}
    migrate.prepare(empty_database.admin, roles)
    found = role_url(empty_database.admin, "notify", PASSWORDS["notify"])
    upgrade(found, BEFORE)
    return found


@pytest.fixture
def conn(url: str) -> Iterator[Conn]:
    with psycopg.connect(url, autocommit=True) as opened:
        yield opened


def upgrade(url: str, revision: str) -> None:
    location = script_location("notify")
    assert isinstance(location, Path)
    migrate.upgrade(url, "notify", location, revision)


def test_keys_that_are_sealed_stay_as_they_are(url: str, conn: Conn) -> None:
    conn.execute(AS_BEFORE, ["a", "", SEALED])
    upgrade(url, GONE)
    conn.execute(AS_NOW, ["b", SEALED])
    rows = conn.execute("select contact_method_id, sealed_secret, enabled from contact_methods order by 1")
    assert rows.fetchall() == [("a", SEALED, True), ("b", SEALED, True)]
    with pytest.raises(psycopg.errors.UndefinedColumn):
        conn.execute("select secret from contact_methods")


def test_a_key_that_is_readable_still_stops_the_migration_and_is_kept(url: str, conn: Conn) -> None:
    conn.execute(AS_BEFORE, ["a", "", SEALED])
    conn.execute(AS_BEFORE, ["b", "whsec_readable", None])
    with pytest.raises(DBAPIError, match="1 contact methods have keys that are not sealed") as found:
        upgrade(url, GONE)
    assert "run the version before" in str(found.value)
    assert conn.execute("select version_num from alembic_version").fetchall() == [(BEFORE,)]
    assert conn.execute("select secret from contact_methods order by 1").fetchall() == [
        ("",),
        ("whsec_readable",),
    ]
    conn.execute("update contact_methods set secret = '', sealed_secret = %s where secret <> ''", [SEALED])
    upgrade(url, GONE)
    assert conn.execute(
        "select count(*) from contact_methods where sealed_secret = %s", [SEALED]
    ).fetchall() == [(2,)]


def test_in_between_the_version_before_and_this_one_both_run(url: str, conn: Conn) -> None:
    upgrade(url, CLOSED)
    conn.execute(AS_BEFORE, ["a", "", SEALED])
    conn.execute(AS_NOW, ["b", SEALED])
    assert conn.execute("select secret, sealed_secret from contact_methods").fetchall() == [("", SEALED)] * 2
    with pytest.raises(psycopg.errors.CheckViolation):
        conn.execute("update contact_methods set secret = 'whsec_readable'")


def test_the_record_of_changes_goes_on_and_shows_no_secret(url: str, conn: Conn) -> None:
    upgrade(url, GONE)
    conn.execute(AS_NOW, ["a", SEALED])
    conn.execute("update contact_methods set sealed_secret = 'another'")
    changed = conn.execute(
        "select before, after, changed from audit order by audit_id desc limit 1"
    ).fetchone()
    assert changed is not None
    before, after, names = changed
    assert names == ["sealed_secret"]
    assert "sealed_secret" not in {*before, *after}  # type: ignore[misc]
