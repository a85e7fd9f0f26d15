"""What an alert waits for: one row per alert and kind, so that nothing due lives in memory alone."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class Kind(StrEnum):
    """What is to be done when the timer is due."""

    ESCALATE = "ESCALATE"
    WAKE = "WAKE"
    STEADY = "STEADY"
    CLOSE = "CLOSE"
    REOPEN = "REOPEN"
    HANDOVER = "HANDOVER"


class Reason(StrEnum):
    """Why a step of an escalation is taken."""

    INITIAL = "INITIAL"
    ACK_TIMEOUT = "ACK_TIMEOUT"
    REPEAT_TRIGGER = "REPEAT_TRIGGER"
    SHIFT_HANDOVER = "SHIFT_HANDOVER"
    MANUAL = "MANUAL"


class Timer(NamedTuple):
    """The next step of an alert: which level, for the how manieth time through the steps, and why.

    `level` counts from 1 and may be one past the policy's last: then the steps are gone through again, or the
    escalation is exhausted. `round` counts from 0. `targets` stand in for the level's own; empty: the level's.
    `told` says whether this time through the steps has told anybody yet, `hurry` that the step after this one is to
    follow at once. Of a handover `due_at` is its instant, `people` are those who come, `targets` the schedules.
    """

    alert_id: UUID
    kind: Kind
    due_at: datetime
    level: int = 1
    round: int = 0
    reason: Reason = Reason.INITIAL
    targets: tuple[str, ...] = ()
    told: bool = False
    hurry: bool = False
    people: tuple[str, ...] = ()
