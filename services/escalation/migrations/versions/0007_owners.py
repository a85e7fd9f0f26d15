"""The teams that policies and integrations belong to."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table escalation_policies add column team_id text not null default ''",
    "alter table integrations add column team_id text not null default ''",
)


def upgrade() -> None:
    """Constant defaults: no row is rewritten, and whoever does not know the columns still writes rows."""
    for statement in STATEMENTS:
        op.execute(statement)
