"""Order, quiet hours, confirmation and news of the end, per contact method.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = [
    """alter table contact_methods
        add column "order" integer not null default 0,
        add column quiet_hours jsonb not null default '[]',
        add column notify_on_resolve boolean not null default false,
        add column verified_at timestamptz""",
]


def upgrade() -> None:
    """Constant defaults: no row is rewritten, and whoever does not know the columns still writes rows."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
