"""Indexes for searches and for those who watch, made beside the traffic."""

from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create index concurrently if not exists alerts_exhausted on alerts (opened_at, alert_id)
        where exhausted_at is not null""",
    "create index concurrently if not exists alerts_source on alerts (source, opened_at, alert_id)",
    """create index concurrently if not exists alerts_words on alerts
        using gin (to_tsvector('simple', title || ' ' || source)) with (fastupdate = on)""",
    """create index concurrently if not exists alerts_labels on alerts
        using gin (labels jsonb_path_ops) with (fastupdate = on)""",
)
PARTITIONS = "select relname from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = 'outbox'::regclass"


def upgrade() -> None:
    """Makes the indexes; those of the outbox's partitions one by one."""
    partitions = (
        [] if context.is_offline_mode() else list(op.get_bind().exec_driver_sql(PARTITIONS).scalars())
    )
    with op.get_context().autocommit_block():
        for statement in STATEMENTS:
            op.execute(statement)
        for name in partitions:
            op.execute(f"create index concurrently if not exists {name}_xact on {name} (xact)")
            op.execute(f"alter index outbox_xact attach partition {name}_xact")
