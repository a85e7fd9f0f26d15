"""Whose policy a timer and a page are of, so that one team's storm is not in another's way."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

COLUMNS = (
    "alter table timers add column if not exists policy_id text not null default ''",
    "alter table pages add column if not exists policy_id text not null default ''",
)
INDEXES = (
    "create index concurrently if not exists timers_policy on timers (policy_id, ready_at)",
    "create index concurrently if not exists pages_policy on pages (policy_id, ready_at)",
)


def upgrade() -> None:
    """Constant defaults: no row is rewritten, and whoever does not know the columns still writes rows.

    Rows that are there keep '': together they have the turn of one policy, and are gone with their alerts.
    """
    for statement in COLUMNS:
        op.execute(statement)
    with op.get_context().autocommit_block():
        for statement in INDEXES:
            op.execute(statement)
