"""Rollups of quarters of days, and of hours of any severity: made by a rebuild that is asked for here."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

REBUILD = """insert into runs (run_id, kind, state, requested_at, done, total, differences)
    select uuidv7(), 'FACTS', 'RUNNING', now(), 0, 0, 0 where exists (select from rollups)"""


def upgrade() -> None:
    """Asks for the rebuild."""
    op.execute(REBUILD)
