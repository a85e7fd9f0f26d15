"""What is known of the streams that figures are made of."""

from alembic import op

from messaging.epochs import TABLE

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.execute(TABLE)
