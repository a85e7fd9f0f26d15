"""Secrets sealed at rest, two keys in force while one replaces the other, and codes that confirm addresses.

Revision ID: 0005
"""

from alembic import op

from identity.audit import watch

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

HIDDEN = ["secret", "address", "sealed_address", "sealed_secret", "old_secret"]
WATCH = watch("contact_methods", "contact_method", "contact_method_id", hidden=HIDDEN, ignored=["sealed_at"])
STATEMENTS = [
    """alter table contact_methods
        add column sealed_address bytea,
        add column sealed_secret bytea,
        add column sealed_at timestamptz,
        add column old_secret bytea,
        add column old_secret_until timestamptz""",
    """create table verifications (
        contact_method_id text primary key references contact_methods on delete cascade,
        digest bytea not null,
        sent_at timestamptz not null,
        tries integer not null,
        codes integer not null,
        since timestamptz not null)""",
    WATCH.replace("create trigger", "create or replace trigger"),
]


def upgrade() -> None:
    """The first of three steps: the service seals what is readable; the column `secret` goes with a later release."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
