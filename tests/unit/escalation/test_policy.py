"""Policies keep to their limits, and every field out of them is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import Invalid, Problems, Refused
from services.escalation.convert import rules as convert
from services.escalation.domain.policy import (
    ACTIVE,
    BUILT_IN,
    EscalationPolicy,
    Handover,
    RepeatTrigger,
    Step,
    check_policy,
    deletable,
)
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy as Message
from tocsin.escalation.v1.policy_pb2 import EscalationStep

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
GOOD = replace(BUILT_IN, policy_id="web", repeat_trigger=RepeatTrigger(5, timedelta(minutes=1)))
HOURS = timedelta(hours=24)


def wrong(policy: EscalationPolicy) -> list[str]:
    """The paths of the fields that are out of their limits."""
    problems = Problems()
    check_policy(policy, problems)
    return [found.path for found in problems.found]


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (lambda p: p, []),
        (lambda p: replace(p, policy_id="No"), ["policy_id"]),
        (lambda p: replace(p, display_name="x" * 201), ["display_name"]),
        (lambda p: replace(p, matchers=('a="b"', "a")), ["matchers[1]"]),
        (lambda p: replace(p, matchers=('a="b"',) * 21), ["matchers"]),
        (lambda p: replace(p, priority=-1), ["priority"]),
        (lambda p: replace(p, priority=1_000_001), ["priority"]),
        (lambda p: replace(p, steps=()), ["steps"]),
        (lambda p: replace(p, steps=p.steps * 21), ["steps"]),
        (lambda p: replace(p, steps=p.steps * 20), []),
        (lambda p: replace(p, steps=(Step(()),)), ["steps[0].targets"]),
        (lambda p: replace(p, steps=(Step((ACTIVE,) * 21),)), ["steps[0].targets"]),
        (lambda p: replace(p, steps=(Step((ACTIVE,), timedelta(seconds=1)),)), []),
        (lambda p: replace(p, steps=(Step((ACTIVE,), timedelta(milliseconds=999)),)), ["steps[0].ack_timeout"]),
        (lambda p: replace(p, steps=(Step((ACTIVE,), HOURS),)), []),
        (lambda p: replace(p, steps=(Step((ACTIVE,), HOURS + timedelta(seconds=1)),)), ["steps[0].ack_timeout"]),
        (lambda p: replace(p, repeat_count=-1), ["repeat_count"]),
        (lambda p: replace(p, repeat_count=101), ["repeat_count"]),
        (lambda p: replace(p, repeat_trigger=None), []),
        (lambda p: replace(p, repeat_trigger=RepeatTrigger(1, HOURS)), ["repeat_trigger.threshold"]),
        (lambda p: replace(p, repeat_trigger=RepeatTrigger(10_001, HOURS)), ["repeat_trigger.threshold"]),
        (lambda p: replace(p, repeat_trigger=RepeatTrigger(2, timedelta())), ["repeat_trigger.window"]),
    ],
)  # fmt: skip
def test_limits(change: Callable[[EscalationPolicy], EscalationPolicy], paths: list[str]) -> None:
    """As the proto's comments say."""
    assert wrong(change(GOOD)) == paths


@pytest.mark.parametrize(
    ("target", "good"),
    [
        ("oncall://active", True),
        ("oncall://primary-2", True),
        ("oncall://primary-2/next", True),
        ("responder://alice", True),
        ("team://web", True),
        ("oncall://active/next", False),
        ("oncall://primary/previous", False),
        ("responder://alice/next", False),
        ("team://web/next", False),
        ("team://", False),
        ("alice", False),
        ("responder://", False),
        ("responder://Alice", False),
        ("oncall://a/b", False),
        ("oncall://-a", False),
        ("mailto://alice", False),
        ("oncall://active\n", False),
        ("oncall://" + "a" * 64, False),
    ],
)
def test_targets(target: str, good: bool) -> None:
    """The five forms, and nothing else."""
    assert wrong(replace(GOOD, steps=(Step((ACTIVE, target)),))) == ([] if good else ["steps[0].targets[1]"])


def test_the_default_policy_stays() -> None:
    """Any other may go."""
    deletable("web")
    with pytest.raises(Refused, match="cannot be deleted"):
        deletable("default")


def test_what_is_left_out_has_defaults() -> None:
    """An id and its name, 300 seconds and OPEN_ONLY."""
    made = convert.policy(Message(steps=[EscalationStep(targets=[ACTIVE])]), request_id="", now=NOW)
    assert made.policy_id.startswith("policy-")
    assert made.display_name == made.policy_id
    assert made.steps == (Step((ACTIVE,), timedelta(seconds=300)),)
    assert made.handover is Handover.OPEN_ONLY
    assert (made.created_at, made.updated_at) == (NOW, NOW)


def test_every_wrong_field_is_named_at_once() -> None:
    """Whatever kind it is of."""
    message = Message(policy_id="No", priority=-1, steps=[EscalationStep(targets=["x"])], handover=9)  # type: ignore[arg-type]
    with pytest.raises(Invalid) as raised:
        convert.policy(message, request_id="x" * 129, now=NOW)
    assert {field.path for field in raised.value.fields} == {
        "request_id", "policy_id", "priority", "steps[0].targets[0]", "handover",
    }  # fmt: skip


def test_a_zero_timeout_is_not_the_default() -> None:
    """It is out of limits; only one that is left out becomes 300 seconds."""
    step = EscalationStep(targets=[ACTIVE], ack_timeout=Duration())
    with pytest.raises(Invalid, match=r"steps\[0\].ack_timeout"):
        convert.policy(Message(steps=[step]), request_id="", now=NOW)


def test_a_round_trip_changes_nothing() -> None:
    """From the domain to the wire and back."""
    message = convert.policy_message(replace(GOOD, matchers=('a="b"',), handover=Handover.OFF))
    again = convert.policy(message, request_id="", now=GOOD.created_at)
    assert again == replace(GOOD, matchers=('a="b"',), handover=Handover.OFF)


@pytest.mark.parametrize(
    ("message", "mask", "changed"),
    [
        (Message(priority=7), [], {"priority": 7}),
        (Message(priority=7, repeat_count=2), ["priority"], {"priority": 7}),
        (Message(), ["priority", "matchers", "repeat_trigger"], {"priority": 0, "matchers": (), "repeat_trigger": None}),
        (Message(), ["display_name"], {"display_name": "web"}),
        (Message(policy_id="web", repeat_count=1), ["policy_id", "created_at", "repeat_count"], {"repeat_count": 1}),
        (Message(handover=Message.Handover.OPEN_AND_ACKED), [], {"handover": Handover.OPEN_AND_ACKED}),
        (Message(), ["repeat_trigger.window"], {"repeat_trigger": None}),
    ],
)  # fmt: skip
def test_a_patch_changes_what_the_mask_names(
    message: Message, mask: list[str], changed: dict[str, object]
) -> None:
    """Without a mask, what is set; ids and times are passed over."""
    old = replace(GOOD, priority=3, matchers=('a="b"',), display_name="Web")
    later = NOW + timedelta(hours=1)
    made = convert.changed_policy(old, message, FieldMask(paths=mask), now=later)
    assert made == replace(old, updated_at=later, **changed)  # type: ignore[arg-type]


def test_a_patch_of_an_unknown_field_is_refused() -> None:
    """With what may be changed."""
    with pytest.raises(Invalid, match="'colour' cannot be changed"):
        convert.changed_policy(GOOD, Message(), FieldMask(paths=["colour"]), now=NOW)
