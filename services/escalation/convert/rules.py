"""Rules: protobuf to the domain's values, checked, and back."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.domain.integration import Integration, check_integration
from services.escalation.domain.noise import (
    AggregationRule,
    SilenceRule,
    SilenceState,
    check_aggregation,
    check_silence,
)
from services.escalation.domain.policy import (
    ACK_TIMEOUT,
    EscalationPolicy,
    Handover,
    RepeatTrigger,
    Step,
    check_policy,
)
from tocsin.escalation.v1 import integration_pb2, noise_pb2, noise_service_pb2, policy_pb2

POLICY_FIELDS = frozenset(
    {"display_name", "matchers", "priority", "steps", "repeat_count", "repeat_trigger", "handover"}
)
POLICY_FIXED = frozenset({"policy_id", "created_at", "updated_at"})
AGGREGATION_FIELDS = frozenset({"matchers", "group_by", "window"})
AGGREGATION_FIXED = frozenset({"aggregation_rule_id", "created_at"})


def policy(message: policy_pb2.EscalationPolicy, *, request_id: str, now: datetime) -> EscalationPolicy:
    """The new policy that a request describes.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    policy_id = message.policy_id or ids.generated_name("policy")
    made = EscalationPolicy(
        policy_id=policy_id,
        display_name=message.display_name or policy_id,
        matchers=tuple(message.matchers),
        priority=message.priority,
        steps=tuple(_step(step) for step in message.steps),
        repeat_count=message.repeat_count,
        repeat_trigger=_repeat_trigger(message),
        handover=_handover(message, problems),
        created_at=now,
        updated_at=now,
    )
    check_policy(made, problems)
    problems.check()
    return made


def changed_policy(
    old: EscalationPolicy, message: policy_pb2.EscalationPolicy, mask: FieldMask, *, now: datetime
) -> EscalationPolicy:
    """The policy after a PATCH; fields that nobody can change are passed over.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    named = wire.changed(mask, message, POLICY_FIELDS | POLICY_FIXED, problems) & POLICY_FIELDS
    values = {
        "display_name": message.display_name or old.policy_id,
        "matchers": tuple(message.matchers),
        "priority": message.priority,
        "steps": tuple(_step(step) for step in message.steps),
        "repeat_count": message.repeat_count,
        "repeat_trigger": _repeat_trigger(message),
        "handover": _handover(message, problems),
    }
    made = replace(old, updated_at=now, **{name: values[name] for name in named})  # type: ignore[arg-type]
    check_policy(made, problems)
    problems.check()
    return made


def _step(message: policy_pb2.EscalationStep) -> Step:
    timeout = wire.length(message, "ack_timeout")
    return Step(tuple(message.targets), ACK_TIMEOUT if timeout is None else timeout)


def _repeat_trigger(message: policy_pb2.EscalationPolicy) -> RepeatTrigger | None:
    if not message.HasField("repeat_trigger"):
        return None
    window = wire.length(message.repeat_trigger, "window")
    return RepeatTrigger(message.repeat_trigger.threshold, window or timedelta())


def _handover(message: policy_pb2.EscalationPolicy, problems: Problems) -> Handover:
    try:
        name = policy_pb2.EscalationPolicy.Handover.Name(message.handover)
    except ValueError:
        problems.add("handover", f"{message.handover} is not known; want OPEN_ONLY, OPEN_AND_ACKED or OFF")
        return Handover.OPEN_ONLY
    return Handover.OPEN_ONLY if name == "HANDOVER_UNSPECIFIED" else Handover(name)


def policy_message(policy: EscalationPolicy) -> policy_pb2.EscalationPolicy:
    """The policy as it is answered."""
    return policy_pb2.EscalationPolicy(
        policy_id=policy.policy_id,
        display_name=policy.display_name,
        matchers=policy.matchers,
        priority=policy.priority,
        steps=[
            policy_pb2.EscalationStep(targets=step.targets, ack_timeout=wire.duration(step.ack_timeout))
            for step in policy.steps
        ],
        repeat_count=policy.repeat_count,
        repeat_trigger=_repeat_message(policy.repeat_trigger),
        handover=policy_pb2.EscalationPolicy.Handover.Value(policy.handover),
        created_at=wire.timestamp(policy.created_at),
        updated_at=wire.timestamp(policy.updated_at),
    )


def _repeat_message(repeat: RepeatTrigger | None) -> policy_pb2.RepeatTrigger | None:
    if repeat is None:
        return None
    return policy_pb2.RepeatTrigger(threshold=repeat.threshold, window=wire.duration(repeat.window))


def silence(
    message: noise_pb2.SilenceRule, *, request_id: str, created_by: str, now: datetime
) -> SilenceRule:
    """The new silence that a request describes, from `now` and by `created_by` unless it says otherwise.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    starts_at, ends_at = wire.instant(message, "starts_at") or now, wire.instant(message, "ends_at")
    validation.interval(problems, starts_at, ends_at)
    made = SilenceRule(
        silence_rule_id=message.silence_rule_id or ids.generated_name("silence"),
        matchers=tuple(message.matchers),
        starts_at=starts_at,
        ends_at=ends_at or now,
        created_by=message.created_by or created_by,
        comment=message.comment,
        created_at=now,
    )
    check_silence(made, problems)
    problems.check()
    return made


def silence_message(rule: SilenceRule, now: datetime) -> noise_pb2.SilenceRule:
    """The silence as it is answered, with its state at `now`."""
    return noise_pb2.SilenceRule(
        silence_rule_id=rule.silence_rule_id,
        matchers=rule.matchers,
        starts_at=wire.timestamp(rule.starts_at),
        ends_at=wire.timestamp(rule.ends_at),
        created_by=rule.created_by,
        comment=rule.comment,
        state=noise_pb2.SilenceRule.State.Value(rule.state(now)),
        created_at=wire.timestamp(rule.created_at),
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
    )


def integration(
    message: integration_pb2.Integration, *, request_id: str, routing_key_sha256: bytes, now: datetime
) -> Integration:
    """The new integration that a request describes.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    integration_id = message.integration_id or ids.generated_name("integration")
    made = Integration(
        integration_id=integration_id,
        display_name=message.display_name or integration_id,
        policy_id=message.policy_id,
        labels=dict(message.labels),
        routing_key_sha256=routing_key_sha256,
        created_at=now,
    )
    check_integration(made, problems)
    problems.check()
    return made


def integration_message(integration: Integration, *, routing_key: str = "") -> integration_pb2.Integration:
    """The integration as it is answered, with its key only where one is given."""
    return integration_pb2.Integration(
        integration_id=integration.integration_id,
        display_name=integration.display_name,
        policy_id=integration.policy_id,
        routing_key=routing_key,
        labels=integration.labels,
        created_at=wire.timestamp(integration.created_at),
    )
