"""Which transaction wrote an event, for those who watch; and which open alerts were exhausted before that was kept."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table outbox add column xact xid8 not null default pg_current_xact_id()",
    """-- squawk-ignore require-concurrent-index-creation
    create index outbox_xact on only outbox (xact)""",
    """update alerts set exhausted_at = now()
        where state = 'OPEN' and snoozed_until is null and escalation_level > 0 and not exists (
            select from timers where timers.alert_id = alerts.alert_id and kind = 'ESCALATE')""",
)


def upgrade() -> None:
    """Adds the column; what waits for nothing is exhausted.

    The index of the whole outbox is empty until its partitions have theirs, so it is made at once.
    """
    for statement in STATEMENTS:
        op.execute(statement)
