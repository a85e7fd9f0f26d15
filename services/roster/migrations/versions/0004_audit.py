"""The record of changes."""

from alembic import op

from identity.audit import create_statements, watch

revision = "0004"
down_revision = "0003"

STATEMENTS = [
    *create_statements(),
    watch("responders", "responder", "responder_id"),
    watch("teams", "team", "team_id"),
    watch("schedules", "schedule", "schedule_id"),
    watch("shifts", "shift", "shift_id"),
    watch("overrides", "override", "override_id"),
    watch("time_off", "time_off", "time_off_id"),
    watch("swaps", "swap", "swap_id"),
    watch("api_keys", "api_key", "api_key_id", hidden=["secret_sha256"], ignored=["last_used_at"]),
]


def upgrade() -> None:
    """Makes the table and the triggers; a trigger waits for no reader."""
    for statement in STATEMENTS:
        op.execute(statement)
