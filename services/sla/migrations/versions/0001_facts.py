"""Facts, and messaging."""

from alembic import op

from chassis.outbox import create_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Every event of an alert changes its fact: room beside the row keeps the changes out of the indexes.
STATEMENTS = (
    """create table facts (
        alert_id uuid primary key,
        version bigint not null,
        opened_at timestamptz,
        severity text not null,
        policy_id text not null,
        source text not null,
        labels jsonb not null,
        closed_at timestamptz,
        closed_by text not null,
        opened boolean not null,
        suppressed boolean not null,
        noise_suppressed boolean not null,
        acked_at timestamptz,
        acked_by text not null,
        first_paged_at timestamptz,
        escalations jsonb not null,
        told text[] not null,
        timeout_escalated boolean not null) with (fillfactor = 75)""",
    "create index facts_opened_at on facts (opened_at)",
    *create_statements(),
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
