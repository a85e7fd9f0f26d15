"""Policies with the built-in one, silences, aggregation rules, integrations, and the count of their changes."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = (
    """create table escalation_policies (
        policy_id text primary key,
        display_name text not null,
        matchers text[] not null,
        priority bigint not null,
        steps jsonb not null,
        repeat_count bigint not null,
        repeat_trigger jsonb,
        handover text not null check (handover in ('OPEN_ONLY', 'OPEN_AND_ACKED', 'OFF')),
        created_at timestamptz not null,
        updated_at timestamptz not null,
        request_id text unique)""",
    """insert into escalation_policies values (
        'default', 'default', '{}', 0, '[{"targets": ["oncall://active"], "ack_timeout": 300}]', 0, null,
        'OPEN_ONLY', now(), now(), null)""",
    """create table silence_rules (
        silence_rule_id text primary key,
        matchers text[] not null,
        starts_at timestamptz not null,
        ends_at timestamptz not null check (ends_at >= starts_at),
        created_by text not null,
        comment text not null,
        created_at timestamptz not null,
        request_id text unique)""",
    "create index silence_rules_ends_at on silence_rules (ends_at)",
    """create table aggregation_rules (
        aggregation_rule_id text primary key,
        matchers text[] not null,
        group_by text[] not null,
        "window" interval not null,
        created_at timestamptz not null,
        request_id text unique)""",
    """create table integrations (
        integration_id text primary key,
        display_name text not null,
        policy_id text not null,
        labels jsonb not null,
        routing_key_sha256 bytea not null unique,
        created_at timestamptz not null,
        request_id text unique)""",
    "create index integrations_policy_id on integrations (policy_id)",
    """create table rule_changes (
        "only" boolean primary key default true check ("only"),
        number bigint not null)""",
    "insert into rule_changes (number) values (0)",
)


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
