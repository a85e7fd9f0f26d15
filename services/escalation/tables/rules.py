"""Policies, noise rules and integrations as declared tables; rows become the domain's values."""

from collections.abc import Mapping
from datetime import time, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Enum,
    Interval,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from services.escalation.domain.condition import Condition
from services.escalation.domain.integration import Flapping
from services.escalation.domain.policy import Handover, RepeatTrigger, Selection, Step
from services.escalation.domain.recurrence import Recurrence
from services.escalation.tables import metadata

AT = DateTime(timezone=True)


class Steps(TypeDecorator[tuple[Step, ...]]):
    """The steps of a policy as a JSON array, durations in seconds."""

    impl = JSONB
    cache_ok = True

    def process_bind_param(self, value: tuple[Step, ...] | None, _: Dialect) -> Any:
        return [_kept(step) for step in value or ()]

    def process_result_value(self, value: Any, _: Dialect) -> tuple[Step, ...]:
        return tuple(map(_step, value))


def _kept(step: Step) -> Mapping[str, Any]:
    condition = step.condition
    return {
        "targets": step.targets,
        "ack_timeout": step.ack_timeout.total_seconds(),
        "selection": step.selection,
        "skip_if_empty": step.skip_if_empty,
        "condition": condition
        and {
            "severities": sorted(condition.severities),
            "weekdays": sorted(condition.weekdays),
            "start_time": f"{condition.start_time:%H:%M}",
            "end_time": f"{condition.end_time:%H:%M}",
            "time_zone": condition.time_zone,
        },
    }


def _step(kept: Mapping[str, Any]) -> Step:
    """A step as it was kept; those of the first version have targets and a timeout alone."""
    condition = kept.get("condition")
    return Step(
        tuple(kept["targets"]),
        timedelta(seconds=kept["ack_timeout"]),
        Selection(kept.get("selection", Selection.ALL)),
        kept.get("skip_if_empty", False),
        condition
        and Condition(
            frozenset(condition["severities"]),
            frozenset(condition["weekdays"]),
            time.fromisoformat(condition["start_time"]),
            time.fromisoformat(condition["end_time"]),
            condition["time_zone"],
        ),
    )


class Repeat(TypeDecorator[RepeatTrigger]):
    """The repeat trigger of a policy as a JSON object, the window in seconds; NULL for none."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: RepeatTrigger | None, _: Dialect) -> Any:
        return value and {"threshold": value.threshold, "window": value.window.total_seconds()}

    def process_result_value(self, value: Mapping[str, Any] | None, _: Dialect) -> RepeatTrigger | None:
        if value is None:
            return None
        return RepeatTrigger(value["threshold"], timedelta(seconds=value["window"]))


class Recurring(TypeDecorator[Recurrence]):
    """The recurrence of a silence as a JSON object, the duration in seconds; NULL for none."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Recurrence | None, _: Dialect) -> Any:
        return value and {
            "rrule": value.rrule,
            "time_zone": value.time_zone,
            "duration": value.duration.total_seconds(),
        }

    def process_result_value(self, value: Mapping[str, Any] | None, _: Dialect) -> Recurrence | None:
        if value is None:
            return None
        return Recurrence(value["rrule"], value["time_zone"], timedelta(seconds=value["duration"]))


class Flaps(TypeDecorator[Flapping]):
    """What an integration takes for flapping as a JSON object, durations in seconds; NULL for nothing."""

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Flapping | None, _: Dialect) -> Any:
        return value and {
            "threshold": value.threshold,
            "window": value.window.total_seconds(),
            "stable_after": value.stable_after.total_seconds(),
        }

    def process_result_value(self, value: Mapping[str, Any] | None, _: Dialect) -> Flapping | None:
        if value is None:
            return None
        window, stable_after = timedelta(seconds=value["window"]), timedelta(seconds=value["stable_after"])
        return Flapping(value["threshold"], window, stable_after)


policies = Table(
    "escalation_policies",
    metadata,
    Column("policy_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("matchers", ARRAY(Text, as_tuple=True), nullable=False),
    Column("priority", BigInteger, nullable=False),
    Column("steps", Steps, nullable=False),
    Column("repeat_count", BigInteger, nullable=False),
    Column("repeat_trigger", Repeat),
    Column("handover", Enum(Handover, native_enum=False, length=32), nullable=False),
    Column("created_at", AT, nullable=False),
    Column("updated_at", AT, nullable=False),
    Column("catch_all", Text, nullable=False),
    Column("reopen_after", Interval),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text, unique=True),
)

silence_rules = Table(
    "silence_rules",
    metadata,
    Column("silence_rule_id", Text, primary_key=True),
    Column("matchers", ARRAY(Text, as_tuple=True), nullable=False),
    Column("starts_at", AT, nullable=False),
    Column("ends_at", AT, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("recurrence", Recurring),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text, unique=True),
)

aggregation_rules = Table(
    "aggregation_rules",
    metadata,
    Column("aggregation_rule_id", Text, primary_key=True),
    Column("matchers", ARRAY(Text, as_tuple=True), nullable=False),
    Column("group_by", ARRAY(Text, as_tuple=True), nullable=False),
    Column("window", Interval, nullable=False),
    Column("created_at", AT, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text, unique=True),
)

inhibition_rules = Table(
    "inhibition_rules",
    metadata,
    Column("inhibition_rule_id", Text, primary_key=True),
    Column("source_matchers", ARRAY(Text, as_tuple=True), nullable=False),
    Column("target_matchers", ARRAY(Text, as_tuple=True), nullable=False),
    Column("equal", ARRAY(Text, as_tuple=True), nullable=False),
    Column("created_at", AT, nullable=False),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text, unique=True),
)

integrations = Table(
    "integrations",
    metadata,
    Column("integration_id", Text, primary_key=True),
    Column("display_name", Text, nullable=False),
    Column("policy_id", Text, nullable=False),
    Column("labels", JSONB, nullable=False),
    Column("routing_key_sha256", LargeBinary, nullable=False, unique=True),
    Column("created_at", AT, nullable=False),
    Column("auto_close_after", Interval),
    Column("flapping", Flaps),
    Column("previous_key_sha256", LargeBinary),
    Column("previous_key_expires_at", AT),
    Column("team_id", Text, nullable=False),
    Column("request_id", Text, unique=True),
)

rule_changes = Table(
    "rule_changes",
    metadata,
    Column("only", Boolean, primary_key=True),
    Column("number", BigInteger, nullable=False),
)
