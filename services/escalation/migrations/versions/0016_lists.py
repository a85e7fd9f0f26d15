"""Indexes for lists by policy and of what somebody has taken, made beside the traffic."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

STATEMENTS = (
    "create index concurrently if not exists alerts_policy on alerts (policy_id, opened_at, alert_id)",
    "create index concurrently if not exists alerts_acked on alerts (opened_at, alert_id) where state = 'ACKED'",
)


def upgrade() -> None:
    """Makes the indexes."""
    with op.get_context().autocommit_block():
        for statement in STATEMENTS:
            op.execute(statement)
