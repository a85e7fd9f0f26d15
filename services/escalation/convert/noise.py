"""Noise rules: protobuf to the domain's values, checked, and back."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.domain.noise import (
    AggregationRule,
    InhibitionRule,
    check_aggregation,
    check_inhibition,
)
from services.escalation.domain.recurrence import Recurrence
from services.escalation.domain.silence import FOREVER, SilenceRule, SilenceState, check_silence
from tocsin.escalation.v1 import noise_pb2, noise_service_pb2

AGGREGATION_FIELDS = frozenset({"matchers", "group_by", "window", "team_id"})
AGGREGATION_FIXED = frozenset({"aggregation_rule_id", "created_at"})
INHIBITION_FIELDS = frozenset({"source_matchers", "target_matchers", "equal", "team_id"})
INHIBITION_FIXED = frozenset({"inhibition_rule_id", "created_at"})


def silence(
    message: noise_pb2.SilenceRule, *, request_id: str, created_by: str, now: datetime
) -> SilenceRule:
    """The new silence that a request describes, from `now` and by `created_by` unless it says otherwise.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    starts_at, ends_at = wire.instant(message, "starts_at") or now, wire.instant(message, "ends_at")
    recurrence = _recurrence(message) if message.HasField("recurrence") else None
    if recurrence is None or ends_at is not None:
        validation.interval(problems, starts_at, ends_at)
    made = SilenceRule(
        silence_rule_id=message.silence_rule_id or ids.generated_name("silence"),
        matchers=tuple(message.matchers),
        starts_at=starts_at,
        ends_at=ends_at or FOREVER,
        created_by=message.created_by or created_by,
        comment=message.comment,
        created_at=now,
        recurrence=recurrence,
        team_id=message.team_id,
    )
    check_silence(made, problems)
    problems.check()
    return made


def _recurrence(message: noise_pb2.SilenceRule) -> Recurrence:
    asked = message.recurrence
    return Recurrence(asked.rrule, asked.time_zone, wire.length(asked, "duration") or timedelta())


def silence_message(rule: SilenceRule, now: datetime) -> noise_pb2.SilenceRule:
    """The silence as it is answered, with its state and window at `now`."""
    starts_at, ends_at = rule.window(now) or (None, None)
    return noise_pb2.SilenceRule(
        silence_rule_id=rule.silence_rule_id,
        matchers=rule.matchers,
        starts_at=wire.timestamp(rule.starts_at),
        ends_at=None if rule.ends_at == FOREVER else wire.timestamp(rule.ends_at),
        created_by=rule.created_by,
        comment=rule.comment,
        state=noise_pb2.SilenceRule.State.Value(rule.state(now)),
        created_at=wire.timestamp(rule.created_at),
        recurrence=_recurrence_message(rule.recurrence),
        window_starts_at=wire.timestamp(starts_at),
        window_ends_at=wire.timestamp(ends_at),
        team_id=rule.team_id,
    )


def _recurrence_message(recurrence: Recurrence | None) -> noise_pb2.Recurrence | None:
    if recurrence is None:
        return None
    return noise_pb2.Recurrence(
        rrule=recurrence.rrule,
        time_zone=recurrence.time_zone,
        duration=wire.duration(recurrence.duration),
    )


def silence_states(request: noise_service_pb2.ListSilenceRulesRequest) -> Collection[SilenceState]:
    """The states that a list is asked for; raises Invalid for what is none."""
    problems = Problems()
    known = {noise_pb2.SilenceRule.State.Value(state): state for state in SilenceState}
    for place, number in enumerate(request.state):
        if number not in known:
            problems.add(f"state[{place}]", f"{number} is no state; want PENDING, ACTIVE or EXPIRED")
    problems.check()
    return {known[number] for number in request.state}


def aggregation(message: noise_pb2.AggregationRule, *, request_id: str, now: datetime) -> AggregationRule:
    """The new aggregation rule that a request describes.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    made = AggregationRule(
        aggregation_rule_id=message.aggregation_rule_id or ids.generated_name("aggregation"),
        matchers=tuple(message.matchers),
        group_by=tuple(message.group_by),
        window=wire.length(message, "window") or timedelta(),
        created_at=now,
        team_id=message.team_id,
    )
    check_aggregation(made, problems)
    problems.check()
    return made


def changed_aggregation(
    old: AggregationRule, message: noise_pb2.AggregationRule, mask: FieldMask
) -> AggregationRule:
    """The rule after a PATCH; fields that nobody can change are passed over.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    named = wire.changed(mask, message, AGGREGATION_FIELDS | AGGREGATION_FIXED, problems) & AGGREGATION_FIELDS
    values = {
        "matchers": tuple(message.matchers),
        "group_by": tuple(message.group_by),
        "window": wire.length(message, "window") or timedelta(),
        "team_id": message.team_id,
    }
    made = replace(old, **{name: values[name] for name in named})  # type: ignore[arg-type]
    check_aggregation(made, problems)
    problems.check()
    return made


def aggregation_message(rule: AggregationRule) -> noise_pb2.AggregationRule:
    """The rule as it is answered."""
    return noise_pb2.AggregationRule(
        aggregation_rule_id=rule.aggregation_rule_id,
        matchers=rule.matchers,
        group_by=rule.group_by,
        window=wire.duration(rule.window),
        created_at=wire.timestamp(rule.created_at),
        team_id=rule.team_id,
    )


def inhibition(message: noise_pb2.InhibitionRule, *, request_id: str, now: datetime) -> InhibitionRule:
    """The new inhibition rule that a request describes.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    made = InhibitionRule(
        inhibition_rule_id=message.inhibition_rule_id or ids.generated_name("inhibition"),
        source_matchers=tuple(message.source_matchers),
        target_matchers=tuple(message.target_matchers),
        equal=tuple(message.equal),
        created_at=now,
        team_id=message.team_id,
    )
    check_inhibition(made, problems)
    problems.check()
    return made


def changed_inhibition(
    old: InhibitionRule, message: noise_pb2.InhibitionRule, mask: FieldMask
) -> InhibitionRule:
    """The rule after a PATCH; fields that nobody can change are passed over.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    named = wire.changed(mask, message, INHIBITION_FIELDS | INHIBITION_FIXED, problems) & INHIBITION_FIELDS
    values = {
        "source_matchers": tuple(message.source_matchers),
        "target_matchers": tuple(message.target_matchers),
        "equal": tuple(message.equal),
        "team_id": message.team_id,
    }
    made = replace(old, **{name: values[name] for name in named})  # type: ignore[arg-type]
    check_inhibition(made, problems)
    problems.check()
    return made


def inhibition_message(rule: InhibitionRule) -> noise_pb2.InhibitionRule:
    """The rule as it is answered."""
    return noise_pb2.InhibitionRule(
        inhibition_rule_id=rule.inhibition_rule_id,
        source_matchers=rule.source_matchers,
        target_matchers=rule.target_matchers,
        equal=rule.equal,
        created_at=wire.timestamp(rule.created_at),
        team_id=rule.team_id,
    )
