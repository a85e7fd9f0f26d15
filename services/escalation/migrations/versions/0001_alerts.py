"""Alerts, actions, executions, timers, pages, and messaging."""

from alembic import op

from chassis.outbox import create_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table alerts (
        alert_id uuid primary key, dedup_key text not null, title text not null, description text not null,
        severity text not null, source text not null, labels jsonb not null, state text not null,
        policy_id text not null, opened_at timestamptz not null, acked_at timestamptz, acked_by text not null,
        closed_at timestamptz, closed_by text not null, snoozed_until timestamptz,
        trigger_count integer not null, last_triggered_at timestamptz not null,
        escalation_level smallint not null, suppressed_by text not null, parent_alert_id uuid,
        version bigint not null) with (fillfactor = 80)""",
    """create unique index alerts_live_dedup_key on alerts (dedup_key)
        where dedup_key <> '' and state <> 'CLOSED'""",
    """create index alerts_dedup_key on alerts (dedup_key, opened_at, alert_id) where dedup_key <> ''""",
    "create index alerts_opened_at on alerts (opened_at, alert_id)",
    "create index alerts_live on alerts (opened_at, alert_id) where state <> 'CLOSED'",
    """create table actions (
        alert_id uuid not null, action_id uuid not null, type text not null, actor text not null,
        note text not null, at timestamptz not null, primary key (alert_id, action_id))""",
    """create table executions (
        execution_id uuid primary key, alert_id uuid not null, policy_id text not null, level smallint not null,
        reason text not null, targets text[] not null, recipients text[] not null, at timestamptz not null,
        stale boolean not null)""",
    "create index executions_alert on executions (alert_id, execution_id)",
    """create table pages (
        execution_id uuid primary key, alert_id uuid not null, ready_at timestamptz not null,
        attempts integer not null) with (autovacuum_vacuum_scale_factor = 0.02)""",
    "create index pages_ready_at on pages (ready_at)",
    "create index pages_alert on pages (alert_id)",
    """create table timers (
        alert_id uuid not null, kind text not null, due_at timestamptz not null, level smallint not null,
        round smallint not null, reason text not null, targets text[] not null, ready_at timestamptz not null,
        claim uuid, primary key (alert_id, kind))
        with (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02)""",
    "create index timers_ready_at on timers (ready_at)",
    """create table requests (
        request_id text primary key, alert_id uuid, outcome text not null, at timestamptz not null)""",
    """create table groups (
        aggregation_rule_id text not null, group_key text not null, parent_alert_id uuid,
        opened_at timestamptz, primary key (aggregation_rule_id, group_key))""",
    """create table coverage (
        target text primary key, responders text[] not null, at timestamptz not null)""",
    *create_statements(),
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
