"""What is known of the streams that are consumed."""

from alembic import op

from messaging.epochs import TABLE

revision = "0015"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.execute(TABLE)
