"""Escalation policies: whom to tell, in which order, and how long to wait for each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from chassis import validation
from chassis.errors import Problems, Refused
from services.escalation.domain.condition import Condition, check_condition
from services.escalation.domain.matcher import check_matchers

DEFAULT = "default"
"""The policy that always exists."""

ACTIVE = "oncall://active"
ACK_TIMEOUT = timedelta(seconds=300)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=24)
LONGEST_REOPEN = 30 * DAY
_NAME = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_TARGET = re.compile(f"oncall://{_NAME}|oncall://(?!active/){_NAME}/next|(responder|team)://{_NAME}")


class Handover(StrEnum):
    """What a change of the person on call does to alerts at a level of that schedule."""

    OPEN_ONLY = "OPEN_ONLY"
    OPEN_AND_ACKED = "OPEN_AND_ACKED"
    OFF = "OFF"


class Selection(StrEnum):
    """Who of the people whom a level means is told."""

    ALL = "ALL"
    ROUND_ROBIN = "ROUND_ROBIN"


@dataclass(frozen=True, slots=True)
class Step:
    """A level: who is told, and how long to wait for an acknowledgement before the next.

    With `skip_if_empty` a level that means nobody is passed over, as one is whose condition does not hold.
    """

    targets: tuple[str, ...]
    ack_timeout: timedelta = ACK_TIMEOUT
    selection: Selection = Selection.ALL
    skip_if_empty: bool = False
    condition: Condition | None = None

    def is_for(self, severity: str, now: datetime) -> bool:
        """Whether the level is for an alert of this severity at `now`."""
        return self.condition is None or self.condition.holds(severity, now)


@dataclass(frozen=True, slots=True)
class RepeatTrigger:
    """So many triggers of an open alert within the window escalate it at once."""

    threshold: int
    window: timedelta


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """A policy; `steps[0]` is level 1, and all of them are gone through `1 + repeat_count` times.

    `catch_all` is the target that is told when a time through the steps has told nobody, '' where none is chosen.
    `team_id` is the team whose members may edit it; empty: anybody may.
    """

    policy_id: str
    display_name: str
    matchers: tuple[str, ...]
    priority: int
    steps: tuple[Step, ...]
    repeat_count: int
    repeat_trigger: RepeatTrigger | None
    handover: Handover
    created_at: datetime
    updated_at: datetime
    catch_all: str = ""
    reopen_after: timedelta | None = None
    team_id: str = ""


BUILT_IN = EscalationPolicy(
    policy_id=DEFAULT,
    display_name=DEFAULT,
    matchers=(),
    priority=0,
    steps=(Step((ACTIVE,)),),
    repeat_count=0,
    repeat_trigger=None,
    handover=Handover.OPEN_ONLY,
    created_at=datetime(1970, 1, 1, tzinfo=UTC),
    updated_at=datetime(1970, 1, 1, tzinfo=UTC),
)
"""The policy `default` as it is before anybody changes it."""


def check_policy(policy: EscalationPolicy, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "policy_id", policy.policy_id)
    validation.text(problems, "display_name", policy.display_name, most=200)
    if policy.team_id:
        validation.name(problems, "team_id", policy.team_id)
    check_matchers(problems, policy.matchers)
    validation.number(problems, "priority", policy.priority, least=0, most=1_000_000)
    validation.count(problems, "steps", policy.steps, least=1, most=20)
    for place, step in enumerate(policy.steps):
        check_targets(problems, f"steps[{place}].targets", step.targets)
        validation.span(problems, f"steps[{place}].ack_timeout", step.ack_timeout, least=SECOND, most=DAY)
        if step.condition is not None:
            check_condition(problems, f"steps[{place}].condition", step.condition)
    validation.number(problems, "repeat_count", policy.repeat_count, least=0, most=100)
    if policy.repeat_trigger is not None:
        _check_repeat(problems, policy.repeat_trigger)
    if policy.catch_all:
        check_target(problems, "catch_all", policy.catch_all)
    validation.span(problems, "reopen_after", policy.reopen_after, least=MINUTE, most=LONGEST_REOPEN)


def check_targets(problems: Problems, path: str, targets: Sequence[str]) -> None:
    """Notes how many targets there are, where it is not 1 to 20, and each that is none."""
    validation.count(problems, path, targets, least=1, most=20)
    for place, target in enumerate(targets):
        check_target(problems, f"{path}[{place}]", target)


def check_target(problems: Problems, path: str, target: str) -> None:
    """Notes a text that is no target."""
    if not _TARGET.fullmatch(target):
        problems.add(
            path,
            f"{target[:80]!r} is not a target; want oncall://active, oncall://<schedule_id>, "
            "oncall://<schedule_id>/next, responder://<responder_id> or team://<team_id>",
        )


def _check_repeat(problems: Problems, repeat: RepeatTrigger) -> None:
    validation.number(problems, "repeat_trigger.threshold", repeat.threshold, least=2, most=10_000)
    validation.span(problems, "repeat_trigger.window", repeat.window, least=SECOND, most=DAY)


def deletable(policy_id: str) -> None:
    """Raises Refused for the policy that must always exist."""
    if policy_id == DEFAULT:
        raise Refused(
            "the policy 'default' cannot be deleted: it is followed when no other matches; change it instead",
            reason="DEFAULT_POLICY",
        )
