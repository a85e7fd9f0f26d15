"""Facts that know schedules, people and pages; rollups of them, by hour and day, and the changes not folded in yet."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MEASURES = """total bigint not null, acked bigint not null, closed bigint not null,
        timeout_escalated bigint not null, suppressed bigint not null, noise_suppressed bigint not null,
        paged bigint not null, reopenings bigint not null, unacked bigint not null,
        unacked_us numeric not null, ack_us numeric not null, page_us numeric not null,
        close_us numeric not null, codes int[] not null, counts bigint[] not null"""

# Everything that facts of before lack is empty, which is what they say of it; the rebuild that is asked for here
# makes the rollups of them.
STATEMENTS = (
    """alter table facts
        add column title text not null default '',
        add column schedules text[] not null default '{}',
        add column responders text[] not null default '{}',
        add column reopenings bigint[] not null default '{}'""",
    """create table pages (
        page text not null, alert_id uuid not null, responder_id text not null, sent_at timestamptz not null,
        primary key (page, responder_id))""",
    "create index pages_sent_at on pages (sent_at)",
    f"""create table rollups (
        dimension text not null, value text not null, severity text not null, grain text not null,
        starts_at timestamptz not null, {MEASURES},
        primary key (dimension, value, severity, grain, starts_at))""",
    f"""create table rollup_changes (
        id bigint generated always as identity primary key,
        dimension text not null, value text not null, severity text not null,
        starts_at timestamptz not null, {MEASURES})""",
    "create index rollup_changes_cell on rollup_changes (dimension, value, starts_at)",
    """create table runs (
        run_id uuid primary key, kind text not null, state text not null, requested_at timestamptz not null,
        finished_at timestamptz, next_at timestamptz, done bigint not null, total bigint not null,
        differences bigint not null, request_id text)""",
    "create unique index runs_request_id on runs (request_id)",
    "create index runs_running on runs (requested_at) where state = 'RUNNING'",
    """insert into runs (run_id, kind, state, requested_at, done, total, differences)
        select uuidv7(), 'FACTS', 'RUNNING', now(), 0, 0, 0 where exists (select from facts)""",
)
UNACKED = """create index concurrently if not exists facts_unacked on facts (opened_at)
    where opened and acked_at is null and closed_at is null"""


def upgrade() -> None:
    """Makes the tables, and asks for the rollups of the facts that are there."""
    for statement in STATEMENTS:
        op.execute(statement)
    with op.get_context().autocommit_block():
        op.execute(UNACKED)
