"""Who stands behind whom: the groups that aggregation rules make."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from services.escalation.domain.alert import Alert, State


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


def firing(alert: Alert) -> bool:
    """Whether the alert can stand for others: it is open, or somebody has taken it."""
    return alert.state in (State.OPEN, State.ACKED)
