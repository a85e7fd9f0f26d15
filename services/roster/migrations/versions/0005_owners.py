"""Managers of teams, and the teams that schedules belong to."""

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = [
    "alter table teams add column manager_ids text[] not null default '{}'",
    "alter table schedules add column team_id text not null default ''",
]


def upgrade() -> None:
    """Constant defaults: no row is rewritten, and whoever does not know the columns still writes rows."""
    for statement in STATEMENTS:
        op.execute(statement)
