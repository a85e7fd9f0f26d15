"""Policies: protobuf to the domain's values, checked, and back."""

from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.domain.policy import (
    ACK_TIMEOUT,
    EscalationPolicy,
    Handover,
    RepeatTrigger,
    Step,
    check_policy,
)
from tocsin.escalation.v1 import policy_pb2

POLICY_FIELDS = frozenset(
    {"display_name", "matchers", "priority", "steps", "repeat_count", "repeat_trigger", "handover"}
)
POLICY_FIXED = frozenset({"policy_id", "created_at", "updated_at"})


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
