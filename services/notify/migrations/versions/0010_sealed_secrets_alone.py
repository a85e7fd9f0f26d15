"""The column of readable keys goes, and what told how long they had been there.

Revision ID: 0010
"""

from alembic import op

from identity.audit import watch

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

HIDDEN = ["address", "sealed_address", "sealed_secret", "old_secret"]
STATEMENTS = [
    "alter table contact_methods validate constraint contact_methods_nothing_readable",
    """-- squawk-ignore ban-drop-column
    alter table contact_methods drop column secret, drop column sealed_at""",
    watch("contact_methods", "contact_method", "contact_method_id", hidden=HIDDEN).replace(
        "create trigger", "create or replace trigger"
    ),
]


def upgrade() -> None:
    """The last of three steps: nothing that runs reads the columns."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
