"""The teams that silences, aggregation rules and inhibition rules belong to."""

from alembic import op

revision = "0013"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table silence_rules add column team_id text not null default ''",
    "alter table aggregation_rules add column team_id text not null default ''",
    "alter table inhibition_rules add column team_id text not null default ''",
)


def upgrade() -> None:
    """Constant defaults: no row is rewritten, and whoever does not know the columns still writes rows."""
    for statement in STATEMENTS:
        op.execute(statement)
