"""Indexes for what rules keep quiet, made beside the traffic."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create index concurrently if not exists alerts_suppressed on alerts (suppressed_by, opened_at, alert_id)
        where state = 'SUPPRESSED'""",
    """create index concurrently if not exists alerts_parent on alerts (parent_alert_id, opened_at, alert_id)
        where state = 'SUPPRESSED' and parent_alert_id is not null""",
)


def upgrade() -> None:
    """Makes the indexes."""
    with op.get_context().autocommit_block():
        for statement in STATEMENTS:
            op.execute(statement)
