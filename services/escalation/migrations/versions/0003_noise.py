"""Recurring silences, inhibition rules and their sources, what is to be judged anew, and more of integrations."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table alerts add column integration_id text not null default ''",
    "alter table alerts add column flapping boolean not null default false",
    "alter table silence_rules add column recurrence jsonb",
    """create table inhibition_rules (
        inhibition_rule_id text primary key,
        source_matchers text[] not null,
        target_matchers text[] not null,
        equal text[] not null,
        created_at timestamptz not null,
        request_id text unique)""",
    "alter table integrations add column auto_close_after interval",
    "alter table integrations add column flapping jsonb",
    "alter table integrations add column previous_key_sha256 bytea",
    "alter table integrations add column previous_key_expires_at timestamptz",
    """create table sources (
        inhibition_rule_id text not null, equal_key text not null, alert_id uuid not null,
        "both" boolean not null, primary key (inhibition_rule_id, equal_key, alert_id))""",
    "create index sources_alert on sources (alert_id)",
    """create table reviews (
        subject text primary key, ready_at timestamptz not null, settled boolean not null default false,
        claim uuid)""",
    "create index reviews_ready_at on reviews (ready_at)",
    """insert into reviews (subject, ready_at)
        select 'silence-rules/' || silence_rule_id, now() from silence_rules""",
    """insert into reviews (subject, ready_at)
        select 'aggregation-rules/' || aggregation_rule_id, now() from aggregation_rules""",
)


def upgrade() -> None:
    """Makes tables and columns; what the rules there are have kept quiet is judged anew."""
    for statement in STATEMENTS:
        op.execute(statement)
