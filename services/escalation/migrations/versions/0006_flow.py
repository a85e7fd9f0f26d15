"""What conditional, round-robin and catch-all levels need, handovers, people out of reach, and counted triggers."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    "alter table alerts add column exhausted_at timestamptz",
    "alter table executions add column catch_all boolean not null default false",
    """alter table timers add column told boolean not null default false,
        add column hurry boolean not null default false, add column people text[] not null default '{}'""",
    """alter table escalation_policies add column catch_all text not null default '',
        add column reopen_after interval""",
    """create table turns (
        policy_id text not null, level smallint not null, told text[] not null, primary key (policy_id, level))""",
    """create table handovers (
        schedule_id text not null, at timestamptz not null, incoming text[] not null, looks smallint not null,
        ready_at timestamptz not null, primary key (schedule_id, at))""",
    "create index handovers_ready_at on handovers (ready_at)",
    """create table unreached (
        execution_id uuid not null, responder_id text not null, at timestamptz not null,
        primary key (execution_id, responder_id))""",
    "create index unreached_at on unreached (at)",
    """create table bursts (
        alert_id uuid not null, at timestamptz not null, triggers integer not null, primary key (alert_id, at))""",
    "create index bursts_at on bursts (at)",
)


def upgrade() -> None:
    """Adds the columns and makes the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
