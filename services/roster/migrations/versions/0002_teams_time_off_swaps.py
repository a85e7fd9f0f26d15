"""Teams, time off and swaps."""

from alembic import op

revision = "0002"
down_revision = "0001"

STATEMENTS = [
    """create table teams (
        team_id text primary key, display_name text not null, responder_ids text[] not null,
        created_at timestamptz not null, request_id text,
        revision bigint not null default nextval('revisions'))""",
    "create unique index teams_request_id on teams (request_id) where request_id is not null",
    """create table time_off (
        time_off_id uuid primary key, responder_id text not null references responders on delete cascade,
        starts_at timestamptz not null, ends_at timestamptz not null, note text not null,
        created_at timestamptz not null, request_id text,
        constraint time_off_interval check (starts_at < ends_at))""",
    "create unique index time_off_request_id on time_off (request_id) where request_id is not null",
    "create index time_off_by_start on time_off (starts_at, time_off_id)",
    "create index time_off_by_responder on time_off (responder_id, ends_at)",
    """create table swaps (
        swap_id uuid primary key, schedule_id text not null references schedules on delete cascade,
        asker_id text not null references responders on delete cascade,
        taker_id text references responders on delete cascade,
        starts_at timestamptz not null, ends_at timestamptz not null,
        return_starts_at timestamptz, return_ends_at timestamptz, note text not null, state text not null,
        created_at timestamptz not null, changed_at timestamptz not null,
        override_id uuid, return_override_id uuid, request_id text,
        constraint swaps_interval check (starts_at < ends_at),
        constraint swaps_return check (
            (return_starts_at is null) = (return_ends_at is null) and return_starts_at < return_ends_at))""",
    "create unique index swaps_request_id on swaps (request_id) where request_id is not null",
    "create index swaps_by_age on swaps (created_at, swap_id)",
    "create index swaps_by_schedule on swaps (schedule_id)",
    "create index swaps_by_asker on swaps (asker_id, ends_at)",
    "create index swaps_by_taker on swaps (taker_id, ends_at)",
]


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
