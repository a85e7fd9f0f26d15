"""How far a run is with what it has not committed yet."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.execute("alter table runs add column ahead bigint not null default 0")
