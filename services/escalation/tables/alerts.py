"""Alerts, what was done to them, how they escalate, and what waits to be done."""

from sqlalchemy import Boolean, Column, DateTime, Enum, Integer, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.types import BigInteger

from chassis.outbox import outbox_table
from services.escalation.domain.alert import ActionType, Severity, State
from services.escalation.domain.timer import Kind, Reason
from services.escalation.tables import metadata

INSTANT = DateTime(timezone=True)


def _words(kind: type[Severity | State | ActionType | Kind | Reason]) -> Enum:
    return Enum(kind, native_enum=False, length=32, create_constraint=False)


alerts = Table(
    "alerts",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("dedup_key", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("severity", _words(Severity), nullable=False),
    Column("source", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("state", _words(State), nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("opened_at", INSTANT, nullable=False),
    Column("acked_at", INSTANT),
    Column("acked_by", Text, nullable=False),
    Column("closed_at", INSTANT),
    Column("closed_by", Text, nullable=False),
    Column("snoozed_until", INSTANT),
    Column("trigger_count", Integer, nullable=False),
    Column("last_triggered_at", INSTANT, nullable=False),
    Column("escalation_level", SmallInteger, nullable=False),
    Column("suppressed_by", Text, nullable=False),
    Column("parent_alert_id", Uuid),
    Column("version", BigInteger, nullable=False),
    Column("integration_id", Text, nullable=False),
    Column("flapping", Boolean, nullable=False),
    Column("exhausted_at", INSTANT),
)

actions = Table(
    "actions",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("action_id", Uuid, primary_key=True),
    Column("type", _words(ActionType), nullable=False),
    Column("actor", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
)

executions = Table(
    "executions",
    metadata,
    Column("execution_id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("reason", _words(Reason), nullable=False),
    Column("targets", ARRAY(Text, as_tuple=True), nullable=False),
    Column("recipients", ARRAY(Text, as_tuple=True), nullable=False),
    Column("at", INSTANT, nullable=False),
    Column("stale", Boolean, nullable=False),
    Column("catch_all", Boolean, nullable=False),
)

pages = Table(
    "pages",
    metadata,
    Column("execution_id", Uuid, primary_key=True),
    Column("alert_id", Uuid, nullable=False),
    Column("ready_at", INSTANT, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("policy_id", Text, nullable=False),
)
"""Executions that notify has not accepted yet."""

timers = Table(
    "timers",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("kind", _words(Kind), primary_key=True),
    Column("due_at", INSTANT, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("round", SmallInteger, nullable=False),
    Column("reason", _words(Reason), nullable=False),
    Column("targets", ARRAY(Text, as_tuple=True), nullable=False),
    Column("told", Boolean, nullable=False),
    Column("hurry", Boolean, nullable=False),
    Column("people", ARRAY(Text, as_tuple=True), nullable=False),
    Column("ready_at", INSTANT, nullable=False),
    Column("claim", Uuid),
    Column("policy_id", Text, nullable=False),
)
"""`ready_at`: from when on a replica may claim the timer: when it is due, or when another's lease runs out."""

turns = Table(
    "turns",
    metadata,
    Column("policy_id", Text, primary_key=True),
    Column("level", SmallInteger, primary_key=True),
    Column("told", ARRAY(Text, as_tuple=True), nullable=False),
)
"""Whom each level that tells people in turn has told, the last of them last."""

handovers = Table(
    "handovers",
    metadata,
    Column("schedule_id", Text, primary_key=True),
    Column("at", INSTANT, primary_key=True),
    Column("incoming", ARRAY(Text, as_tuple=True), nullable=False),
    Column("looks", SmallInteger, nullable=False),
    Column("ready_at", INSTANT, nullable=False),
)
"""Handovers whose alerts are yet to be looked for, from `ready_at` on, and how often they were."""

unreached = Table(
    "unreached",
    metadata,
    Column("execution_id", Uuid, primary_key=True),
    Column("responder_id", Text, primary_key=True),
    Column("at", INSTANT, nullable=False),
)
"""People whom a step meant and nothing reaches, as notify tells."""

bursts = Table(
    "bursts",
    metadata,
    Column("alert_id", Uuid, primary_key=True),
    Column("at", INSTANT, primary_key=True),
    Column("triggers", Integer, nullable=False),
)
"""Triggers of open alerts that count for the repeat trigger of their policies."""

requests = Table(
    "requests",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("alert_id", Uuid),
    Column("outcome", Text, nullable=False),
    Column("at", INSTANT, nullable=False),
)
"""Triggers that came with a request id, and what became of them."""

groups = Table(
    "groups",
    metadata,
    Column("aggregation_rule_id", Text, primary_key=True),
    Column("group_key", Text, primary_key=True),
    Column("parent_alert_id", Uuid),
    Column("opened_at", INSTANT),
)
"""The alert in front of each group of an aggregation rule, and since when."""

sources = Table(
    "sources",
    metadata,
    Column("inhibition_rule_id", Text, primary_key=True),
    Column("equal_key", Text, primary_key=True),
    Column("alert_id", Uuid, primary_key=True),
    Column("both", Boolean, nullable=False),
)
"""The alerts that inhibit others by a rule while they fire. `both`: the rule's target matchers match them too."""

reviews = Table(
    "reviews",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("ready_at", INSTANT, nullable=False),
    Column("settled", Boolean, nullable=False),
    Column("claim", Uuid),
)
"""Rules, and alerts that have stood for others, whose alerts are to be judged anew, and from when on."""

coverage = Table(
    "coverage",
    metadata,
    Column("target", Text, primary_key=True),
    Column("responders", ARRAY(Text, as_tuple=True), nullable=False),
    Column("at", INSTANT, nullable=False),
)
"""Whom each target meant when roster last told: what is used while roster is away."""

outbox = outbox_table(metadata)
