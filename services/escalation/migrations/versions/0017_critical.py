"""An index for lists of critical alerts, made beside the traffic: the fewest, and the ones that are asked for."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENT = """create index concurrently if not exists alerts_critical on alerts (opened_at, alert_id)
    where severity = 'CRITICAL'"""


def upgrade() -> None:
    """Makes the index: one of all severities would cost every alert four times as much."""
    with op.get_context().autocommit_block():
        op.execute(STATEMENT)
