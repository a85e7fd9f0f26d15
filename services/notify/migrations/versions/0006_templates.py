"""Templates of messages, and which methods fail.

Revision ID: 0006
"""

from alembic import op

from identity.audit import watch

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = [
    """create table message_templates (
        channel text primary key,
        title text not null,
        body text not null,
        html text not null,
        updated_at timestamptz not null)""",
    watch("message_templates", "message_template", "channel", ignored=["updated_at"]),
]


def upgrade() -> None:
    """A table of two rows; then an index over what has failed, which is little, while pages go on."""
    for statement in STATEMENTS:
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(
            """create index concurrently if not exists route_logs_failed
            on route_logs (contact_method_id, created_at) where status = 'FAILED'"""
        )


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
