"""Responders, schedules, shifts, overrides, the watch over schedules, outbox and inbox."""

from alembic import op

from chassis.outbox import create_statements

revision = "0001"
down_revision = None

STATEMENTS = [
    "create sequence revisions",
    """create table responders (
        responder_id text primary key, display_name text not null, time_zone text not null,
        created_at timestamptz not null, request_id text,
        revision bigint not null default nextval('revisions'))""",
    "create unique index responders_request_id on responders (request_id) where request_id is not null",
    """create table schedules (
        schedule_id text primary key, display_name text not null, time_zone text not null,
        layers jsonb not null, created_at timestamptz not null, request_id text,
        revision bigint not null default nextval('revisions'))""",
    "create unique index schedules_request_id on schedules (request_id) where request_id is not null",
    """create table shifts (
        shift_id uuid primary key, schedule_id text not null references schedules on delete cascade,
        responder_id text not null references responders on delete cascade,
        starts_at timestamptz not null, ends_at timestamptz not null, request_id text,
        constraint shifts_interval check (starts_at < ends_at),
        constraint shifts_once exclude using gist
            (schedule_id with =, responder_id with =, tstzrange(starts_at, ends_at) with &&))""",
    "create unique index shifts_request_id on shifts (request_id) where request_id is not null",
    "create index shifts_by_start on shifts (starts_at, shift_id)",
    "create index shifts_by_schedule on shifts (schedule_id, starts_at)",
    "create index shifts_by_responder on shifts (responder_id, ends_at)",
    """create table overrides (
        override_id uuid primary key, schedule_id text not null references schedules on delete cascade,
        responder_id text references responders on delete cascade,
        replaced_responder_id text references responders on delete cascade,
        starts_at timestamptz not null, ends_at timestamptz not null, created_at timestamptz not null,
        request_id text,
        constraint overrides_interval check (starts_at < ends_at),
        constraint overrides_somebody check (coalesce(responder_id, replaced_responder_id) is not null))""",
    "create unique index overrides_request_id on overrides (request_id) where request_id is not null",
    "create index overrides_by_age on overrides (created_at, override_id)",
    "create index overrides_by_schedule on overrides (schedule_id, ends_at)",
    "create index overrides_by_responder on overrides (responder_id, ends_at)",
    "create index overrides_by_replaced on overrides (replaced_responder_id, ends_at)",
    """create table watches (
        schedule_id text primary key references schedules on delete cascade,
        responder_ids text[] not null default '{}', watched_at timestamptz not null, edited_at timestamptz,
        due_at timestamptz not null, gaps jsonb not null default '[]')""",
    "create index watches_by_due on watches (due_at)",
    """insert into schedules (schedule_id, display_name, time_zone, layers, created_at)
        values ('default', 'Default', 'UTC', '[]', now())""",
    "insert into watches (schedule_id, watched_at, due_at) values ('default', now(), now())",
    *create_statements(),
]


def upgrade() -> None:
    """Makes the tables, and the schedule that always exists."""
    for statement in STATEMENTS:
        op.execute(statement)
