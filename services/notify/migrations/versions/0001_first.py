"""Contact methods, pages, route logs, receipts, inboxes and messaging.

Revision ID: 0001
"""

from alembic import op

from chassis.outbox import create_statements

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = [
    """create table contact_methods (
        contact_method_id text primary key,
        responder_id text not null,
        channel text not null,
        address text not null,
        secret text not null,
        enabled boolean not null,
        min_severity text not null,
        delay interval not null,
        disabled_reason text not null,
        request_id text,
        created_at timestamptz not null)""",
    "create index contact_methods_responder on contact_methods (responder_id)",
    "create unique index contact_methods_request on contact_methods (request_id) where request_id is not null",
    """create table alerts (
        alert_id uuid primary key,
        settled_version bigint not null,
        touched_at timestamptz not null)""",
    """create table pages (
        execution_id uuid primary key,
        alert_id uuid not null,
        alert_version bigint not null,
        alert bytea not null,
        reason text not null,
        level integer not null,
        accepted_at timestamptz not null)""",
    "create index pages_alert on pages (alert_id)",
    """create table route_logs (
        route_log_id uuid primary key,
        execution_id uuid not null references pages,
        alert_id uuid not null,
        responder_id text not null,
        channel text not null,
        contact_method_id text not null,
        address text not null,
        status text not null,
        attempts integer not null,
        last_error text not null,
        created_at timestamptz not null,
        sent_at timestamptz,
        read_at timestamptz,
        due_at timestamptz,
        expires_at timestamptz,
        position bigint,
        constraint route_logs_due check ((status = 'PENDING') = (due_at is not null)),
        constraint route_logs_position check ((channel = 'IN_APP') = (position is not null)))""",
    "create unique index route_logs_once on route_logs (execution_id, responder_id, contact_method_id)",
    "create index route_logs_due on route_logs (due_at) where status = 'PENDING'",
    "create index route_logs_waiting on route_logs (contact_method_id) where status = 'PENDING'",
    "create index route_logs_created on route_logs (created_at, route_log_id)",
    "create index route_logs_alert on route_logs (alert_id, created_at, route_log_id)",
    "create index route_logs_responder on route_logs (responder_id, created_at, route_log_id)",
    """create unique index route_logs_inbox on route_logs (responder_id, position)
        where position is not null""",
    """create table receipts (
        route_log_id uuid not null references route_logs,
        receipt_id text not null,
        status text not null,
        detail text not null,
        at timestamptz not null,
        recorded_at timestamptz not null,
        primary key (route_log_id, receipt_id))""",
    """create table inboxes (
        responder_id text primary key,
        last_position bigint not null)""",
    """create table acknowledgements (
        route_log_id uuid primary key references route_logs,
        alert_id uuid not null,
        responder_id text not null,
        note text not null,
        attempts integer not null,
        due_at timestamptz,
        answered_at timestamptz,
        answer text not null)""",
    "create index acknowledgements_due on acknowledgements (due_at) where due_at is not null",
]


def upgrade() -> None:
    """Makes everything in the service's schema."""
    for statement in [*TABLES, *create_statements()]:
        op.execute(statement)


def downgrade() -> None:
    """Nothing goes back: a fault in a migration is mended by the next one."""
    raise NotImplementedError("notify's migrations go forward only")
