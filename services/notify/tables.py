"""The tables of the schema `notify`; the migrations make them."""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    Integer,
    Interval,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.outbox import outbox_table
from services.notify.domain.contact_method import Channel, Severity
from services.notify.domain.decision import Decision
from services.notify.domain.route import Kind, Status

metadata = MetaData()


def _named(kind: type[StrEnum]) -> Enum:
    """A text that is the name of a member."""
    return Enum(kind, native_enum=False, length=32, create_constraint=False)


contact_methods = Table(
    "contact_methods",
    metadata,
    Column("contact_method_id", Text, primary_key=True),
    Column("responder_id", Text, nullable=False),
    Column("channel", _named(Channel), nullable=False),
    Column("address", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("min_severity", _named(Severity), nullable=False),
    Column("delay", Interval, nullable=False),
    Column("disabled_reason", Text, nullable=False),
    Column("request_id", Text),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("order", Integer, nullable=False),
    Column("quiet_hours", JSONB, nullable=False),
    Column("notify_on_resolve", Boolean, nullable=False),
    Column("verified_at", DateTime(timezone=True)),
    Column("sealed_address", LargeBinary),
    Column("sealed_secret", LargeBinary),
    Column("old_secret", LargeBinary),
    Column("old_secret_until", DateTime(timezone=True)),
    Column("bundle_window", Interval, nullable=False),
    Column("per_minute", Integer, nullable=False),
)

verifications = Table(
    "verifications",
    metadata,
    Column("contact_method_id", Text, ForeignKey("contact_methods.contact_method_id"), primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("sent_at", DateTime(timezone=True), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("codes", Integer, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False),
)
"""The code that was sent last to an address that is not confirmed, as a keyed digest."""

alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("settled_version", BigInteger, nullable=False),
    Column("touched_at", DateTime(timezone=True), nullable=False),
    Column("settled_alert", LargeBinary),
    Column("settled_type", Text),
    Column("settled_by", Text),
)
"""What is known of an alert besides its pages: the version at which it was last acknowledged or closed, or 0, and
the alert as it was then, where somebody is told of it.

Its row is also the lock between a page and an acknowledgement of the same alert that come at the same moment.
"""

pages = Table(
    "pages",
    metadata,
    Column("execution_id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("alert_version", BigInteger, nullable=False),
    Column("alert", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("level", Integer, nullable=False),
    Column("accepted_at", DateTime(timezone=True), nullable=False),
    Column("severity", _named(Severity), nullable=False),
)
"""An escalation step, with the alert as it was, kept once however many are told."""

route_logs = Table(
    "route_logs",
    metadata,
    Column("route_log_id", Uuid, primary_key=True),
    Column("execution_id", Uuid, ForeignKey("pages.execution_id"), nullable=False),
    Column("alert_id", Uuid, nullable=False),
    Column("responder_id", Text, nullable=False),
    Column("channel", _named(Channel), nullable=False),
    Column("contact_method_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("status", _named(Status), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sent_at", DateTime(timezone=True)),
    Column("read_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("position", BigInteger),
    Column("decision", _named(Decision), nullable=False),
    Column("delay", Interval, nullable=False),
    Column("fail_over_at", DateTime(timezone=True)),
    Column("failed_over_at", DateTime(timezone=True)),
    Column("kind", _named(Kind), nullable=False),
    Column("bundle_id", Uuid),
)

message_templates = Table(
    "message_templates",
    metadata,
    Column("channel", _named(Channel), primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
)

exhaustions = Table(
    "exhaustions",
    metadata,
    Column("execution_id", Uuid, ForeignKey("pages.execution_id"), primary_key=True),
    Column("responder_id", Text, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
)
"""Who could not be reached for an escalation step: said once."""

lanes = Table(
    "lanes",
    metadata,
    Column("lane", Text, primary_key=True),
    Column("tokens", Double, nullable=False),
    Column("filled_at", DateTime(timezone=True), nullable=False),
    Column("gathers_until", DateTime(timezone=True), nullable=False),
    Column("critical_from", DateTime(timezone=True), nullable=False),
)
"""How much has gone by a method, or to a person, whichever replica sent it."""

receipts = Table(
    "receipts",
    metadata,
    Column("route_log_id", Uuid, ForeignKey("route_logs.route_log_id"), primary_key=True),
    Column("receipt_id", Text, primary_key=True),
    Column("status", _named(Status), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("recorded_at", DateTime(timezone=True), nullable=False),
)

inboxes = Table(
    "inboxes",
    metadata,
    Column("responder_id", Text, primary_key=True),
    Column("last_position", BigInteger, nullable=False),
)
"""Counts a responder's inbox items. Its row is locked until the items are committed, so positions appear in order."""

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("route_log_id", Uuid, ForeignKey("route_logs.route_log_id"), primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("responder_id", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", DateTime(timezone=True)),
    Column("answered_at", DateTime(timezone=True)),
    Column("answer", Text, nullable=False),
)
"""What escalation must be told because somebody acknowledged by a page; `due_at` ends when it has answered."""

outbox = outbox_table(metadata)
