"""Who stands behind whom: the groups that aggregation rules make."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, assert_never
from uuid import UUID

from services.escalation.domain.alert import Alert, State
from services.escalation.domain.noise import INHIBITIONS


class GroupKey(NamedTuple):
    """A group of a rule."""

    rule_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Group:
    """The alert in front, and when it opened; None before there is one."""

    parent_alert_id: UUID | None = None
    opened_at: datetime | None = None


def in_front(group: Group, parent: Alert | None, *, window: timedelta | None, now: datetime) -> UUID | None:
    """The alert behind which a new one of the group stands; None when the new one opens, in front of a group anew.

    One that somebody has taken stays in front: whoever takes it takes what it stands for. Without a `window` the
    alert has joined the group before.
    """
    if parent is None or group.opened_at is None or not firing(parent):
        return None
    return parent.alert_id if window is None or now < group.opened_at + window else None


def inhibits(alert: Alert) -> bool:
    """Whether a source keeps its targets quiet: until it closes, also while a silence or a group keeps it quiet itself.

    Not while it is inhibited: two that inhibit each other would both be quiet, and nobody would hear of either.
    """
    match alert.state:
        case State.OPEN | State.ACKED:
            return True
        case State.SUPPRESSED:
            return not alert.suppressed_by.startswith(INHIBITIONS)
        case State.CLOSED:
            return False
        case never:
            assert_never(never)


def firing(alert: Alert) -> bool:
    """Whether the alert can stand for others: it is open, or somebody has taken it."""
    return alert.state in (State.OPEN, State.ACKED)
