"""The record of changes.

Revision ID: 0004
"""

from alembic import op

from identity.audit import create_statements, watch

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = [
    *create_statements(),
    # Addresses of chats and webhooks hold credentials more often than not.
    watch("contact_methods", "contact_method", "contact_method_id", hidden=["secret", "address"]),
]


def upgrade() -> None:
    """Makes the table and the triggers; a trigger waits for no reader."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
