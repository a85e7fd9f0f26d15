"""Everything that people configure is in the record of changes (ADR 26)."""

import psycopg
import pytest

from cli.stack.schemas import CONTEXTS
from tests.fixtures.postgres import TestDatabase

OPERATIONAL = {
    "roster": "api_key_changes watches",
    "escalation": "actions alerts bursts coverage executions groups handovers pages requests reviews rule_changes"
    " sources timers turns unreached",
    "notify": "acknowledgements alerts exhaustions inboxes lanes pages receipts route_logs verifications",
    "sla": "facts pages promises rollup_changes rollups runs",
}
"""What the services write by themselves while they work: nobody configures it."""
MECHANISM = {
    "alembic_version",
    "audit",
    "dead_letters",
    "inbox",
    "leader",
    "outbox",
    "relay",
    "stream_epochs",
}
ADVICE = """a new table is not in the record of changes: put `identity.audit.watch(...)` into its migration, with its secrets as
`hidden`, and open its transactions with `identity.audit.audited(db)`; or name it here, when nobody configures it"""


@pytest.mark.parametrize("context", CONTEXTS)
def test_every_table_of_what_people_configure_is_recorded(database: TestDatabase, context: str) -> None:
    with psycopg.connect(database.url(context)) as conn:
        rows = conn.execute(
            """select relname, exists (select from pg_trigger where tgrelid = c.oid and tgname = 'audit')
            from pg_class c where relnamespace = %s::regnamespace and relkind in ('r', 'p') and not relispartition""",
            [context],
        ).fetchall()
    recorded = {name for name, known in rows if known}
    operational = {*OPERATIONAL[context].split()}
    assert {name for name, known in rows if not known} - MECHANISM == operational, ADVICE
    assert not recorded & operational
