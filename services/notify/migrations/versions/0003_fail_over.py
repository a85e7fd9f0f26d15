"""Why a page travels as it does, and when the next way to a person is used instead.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = [
    """alter table route_logs
        add column if not exists decision text not null default 'PLANNED',
        add column if not exists delay interval not null default '0',
        add column if not exists fail_over_at timestamptz,
        add column if not exists failed_over_at timestamptz""",
    """create table if not exists exhaustions (
        execution_id uuid not null references pages,
        responder_id text not null,
        at timestamptz not null,
        primary key (execution_id, responder_id))""",
]


def upgrade() -> None:
    """Adds the columns and the table, then the index, while the old code goes on."""
    for statement in STATEMENTS:
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(
            """create index concurrently if not exists route_logs_fail_over on route_logs (fail_over_at)
            where fail_over_at is not null"""
        )


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
