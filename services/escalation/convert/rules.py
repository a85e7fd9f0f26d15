"""Policies: protobuf to the domain's values, checked, and back."""

from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.convert.alerts import SEVERITIES
from services.escalation.convert.alerts import severities as severities_of
from services.escalation.domain.alert import Severity
from services.escalation.domain.condition import WEEKDAYS, Condition, clock_time
from services.escalation.domain.policy import (
    ACK_TIMEOUT,
    EscalationPolicy,
    Handover,
    RepeatTrigger,
    Selection,
    Step,
    check_policy,
)
from tocsin.escalation.v1 import policy_pb2

POLICY_FIELDS = frozenset(
    {
        "display_name",
        "matchers",
        "priority",
        "steps",
        "repeat_count",
        "repeat_trigger",
        "handover",
        "catch_all",
        "reopen_after",
        "team_id",
    }
)
POLICY_FIXED = frozenset({"policy_id", "created_at", "updated_at"})
_SELECTION_OF = {
    policy_pb2.EscalationStep.SELECTION_UNSPECIFIED: Selection.ALL,
    **{policy_pb2.EscalationStep.Selection.Value(one): one for one in Selection},
}
_WEEKDAY_OF = {policy_pb2.StepCondition.Weekday.Value(name): day for day, name in enumerate(WEEKDAYS)}


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
        steps=_steps(message, problems),
        repeat_count=message.repeat_count,
        repeat_trigger=_repeat_trigger(message),
        handover=_handover(message, problems),
        created_at=now,
        updated_at=now,
        catch_all=message.catch_all,
        reopen_after=wire.length(message, "reopen_after"),
        team_id=message.team_id,
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
        "steps": _steps(message, problems),
        "repeat_count": message.repeat_count,
        "repeat_trigger": _repeat_trigger(message),
        "handover": _handover(message, problems),
        "catch_all": message.catch_all,
        "reopen_after": wire.length(message, "reopen_after"),
        "team_id": message.team_id,
    }
    made = replace(old, updated_at=now, **{name: values[name] for name in named})  # type: ignore[arg-type]
    check_policy(made, problems)
    problems.check()
    return made


def _steps(message: policy_pb2.EscalationPolicy, problems: Problems) -> tuple[Step, ...]:
    return tuple(_step(problems, f"steps[{place}]", step) for place, step in enumerate(message.steps))


def _step(problems: Problems, path: str, message: policy_pb2.EscalationStep) -> Step:
    timeout = wire.length(message, "ack_timeout")
    if message.selection not in _SELECTION_OF:
        problems.add(f"{path}.selection", f"{message.selection} is not known; want ALL or ROUND_ROBIN")
    return Step(
        tuple(message.targets),
        ACK_TIMEOUT if timeout is None else timeout,
        _SELECTION_OF.get(message.selection, Selection.ALL),
        message.skip_if_empty,
        _condition(problems, f"{path}.condition", message.condition)
        if message.HasField("condition")
        else None,
    )


def _condition(problems: Problems, path: str, message: policy_pb2.StepCondition) -> Condition:
    for place, number in enumerate(message.weekdays):
        if number not in _WEEKDAY_OF:
            problems.add(f"{path}.weekdays[{place}]", f"{number} is no weekday; want {', '.join(WEEKDAYS)}")
    wrong = Problems()
    severities = severities_of(message.severities, wrong)
    for field in wrong.found:
        problems.add(f"{path}.{field.path.replace('severity', 'severities', 1)}", field.description)
    return Condition(
        severities=frozenset(severities),
        weekdays=frozenset(_WEEKDAY_OF[number] for number in message.weekdays if number in _WEEKDAY_OF),
        start_time=clock_time(problems, f"{path}.start_time", message.start_time),
        end_time=clock_time(problems, f"{path}.end_time", message.end_time),
        time_zone=message.time_zone or "UTC",
    )


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
        steps=map(_step_message, policy.steps),
        repeat_count=policy.repeat_count,
        repeat_trigger=_repeat_message(policy.repeat_trigger),
        handover=policy_pb2.EscalationPolicy.Handover.Value(policy.handover),
        created_at=wire.timestamp(policy.created_at),
        updated_at=wire.timestamp(policy.updated_at),
        catch_all=policy.catch_all,
        reopen_after=wire.duration(policy.reopen_after),
        team_id=policy.team_id,
    )


def _step_message(step: Step) -> policy_pb2.EscalationStep:
    return policy_pb2.EscalationStep(
        targets=step.targets,
        ack_timeout=wire.duration(step.ack_timeout),
        selection=policy_pb2.EscalationStep.Selection.Value(step.selection),
        skip_if_empty=step.skip_if_empty,
        condition=None if step.condition is None else _condition_message(step.condition),
    )


def _condition_message(condition: Condition) -> policy_pb2.StepCondition:
    return policy_pb2.StepCondition(
        severities=[SEVERITIES[severity] for severity in Severity if severity in condition.severities],
        weekdays=[
            policy_pb2.StepCondition.Weekday.Value(WEEKDAYS[day]) for day in sorted(condition.weekdays)
        ],
        start_time=f"{condition.start_time:%H:%M}",
        end_time=f"{condition.end_time:%H:%M}",
        time_zone=condition.time_zone,
    )


def _repeat_message(repeat: RepeatTrigger | None) -> policy_pb2.RepeatTrigger | None:
    if repeat is None:
        return None
    return policy_pb2.RepeatTrigger(threshold=repeat.threshold, window=wire.duration(repeat.window))
