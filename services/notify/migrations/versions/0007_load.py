"""Bundles, rates and news: what many pages become, and what those who were paged hear of the end.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = [
    """alter table contact_methods
        add column if not exists bundle_window interval not null default '0',
        add column if not exists per_minute integer not null default 0""",
    """create table if not exists lanes (
        lane text primary key,
        tokens double precision not null,
        filled_at timestamptz not null,
        gathers_until timestamptz not null,
        critical_from timestamptz not null)""",
    "alter table pages add column if not exists severity text not null default 'MEDIUM'",
    """alter table alerts
        add column if not exists settled_alert bytea,
        add column if not exists settled_type text,
        add column if not exists settled_by text""",
    """alter table route_logs
        add column if not exists kind text not null default 'PAGE',
        add column if not exists bundle_id uuid""",
]
INDEXES = [
    """create unique index concurrently if not exists route_logs_once_each
        on route_logs (execution_id, responder_id, contact_method_id, kind)""",
    "create index concurrently if not exists route_logs_next on route_logs (due_at) where due_at is not null",
    """create index concurrently if not exists route_logs_of_method
        on route_logs (contact_method_id, route_log_id) where due_at is not null""",
    """create index concurrently if not exists route_logs_bundle
        on route_logs (bundle_id) where bundle_id is not null and due_at is not null""",
    "create index concurrently if not exists pages_accepted on pages (accepted_at)",
    "create index concurrently if not exists alerts_touched on alerts (touched_at)",
    "drop index concurrently if exists route_logs_once",
    "drop index concurrently if exists route_logs_due",
    "drop index concurrently if exists route_logs_waiting",
]
"""`due_at is not null` says the same as `status = 'PENDING'`, and leaves a receipt, which changes the status alone,
free to be written beside the row (HOT) instead of into every index."""


def upgrade() -> None:
    """Adds the columns and the table, then the indexes, while the old code goes on."""
    for statement in STATEMENTS:
        op.execute(statement)
    with op.get_context().autocommit_block():
        for statement in INDEXES:
            op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
