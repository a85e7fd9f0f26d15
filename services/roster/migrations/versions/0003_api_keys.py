"""API keys, and the number of their last change."""

from alembic import op

revision = "0003"
down_revision = "0002"

STATEMENTS = [
    """create table api_keys (
        api_key_id text primary key, display_name text not null, subject text not null, scopes text[] not null,
        rate_limit integer not null, secret_sha256 bytea not null, expires_at timestamptz,
        created_at timestamptz not null, created_by text not null, last_used_at timestamptz, request_id text)""",
    "create unique index api_keys_secret on api_keys (secret_sha256)",
    "create unique index api_keys_request_id on api_keys (request_id) where request_id is not null",
    "create index api_keys_by_subject on api_keys (subject, api_key_id)",
    "create table api_key_changes (only_row boolean primary key check (only_row), number bigint not null)",
    "insert into api_key_changes (only_row, number) values (true, 0)",
]


def upgrade() -> None:
    """Makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
