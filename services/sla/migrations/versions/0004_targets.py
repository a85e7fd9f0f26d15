"""Targets, and what they promise of each alert."""

from alembic import op

from identity.audit import watch

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table targets (
        target_id text primary key, display_name text not null, matchers text[] not null,
        acknowledge_within interval, resolve_within interval, hours jsonb, at_risk_share double precision not null,
        objective double precision not null, budget_window interval not null, created_at timestamptz not null,
        request_id text)""",
    "create unique index targets_request_id on targets (request_id)",
    watch("targets", "target", "target_id"),
    """create table promises (
        alert_id uuid not null, target_id text not null, kind text not null, started_at timestamptz not null,
        at_risk_at timestamptz not null, due_at timestamptz not null, state text not null,
        settled_at timestamptz, breached_at timestamptz, next_at timestamptz,
        primary key (alert_id, target_id, kind))""",
    "create index promises_next_at on promises (next_at) where next_at is not null",
    """create index promises_breached_at on promises (breached_at, alert_id, target_id, kind)
        where breached_at is not null""",
    "create index promises_target on promises (target_id, started_at)",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
