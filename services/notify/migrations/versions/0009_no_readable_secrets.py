"""No key of a webhook is readable any more: from here on nothing can be written into the column that is to go.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = [
    """do $$
    declare readable bigint := (select count(*) from contact_methods where secret <> '');
    begin
        if readable > 0 then
            raise exception '% contact methods have keys that are not sealed', readable
                using hint = 'run the version before this one for an hour and a quarter: it seals them, then clears them';
        end if;
    end $$""",
    "alter table contact_methods alter column secret set default ''",
    "alter table contact_methods add constraint contact_methods_nothing_readable check (secret = '') not valid",
]


def upgrade() -> None:
    """The version before seals what it finds and writes nothing readable, so it goes on; so does one that knows no such column."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
