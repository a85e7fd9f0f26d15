"""The record of changes."""

from alembic import op

from identity.audit import create_statements

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Makes the table."""
    for statement in create_statements():
        op.execute(statement)
