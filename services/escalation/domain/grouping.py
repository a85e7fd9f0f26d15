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


def in_front(group: Group, parent: Alert | None, *, window: timedelta, now: datetime) -> UUID | None:
    """The alert behind which a new one of the group stands; None when the new one opens, in front of a group anew."""
    if parent is None or group.opened_at is None or parent.state is State.CLOSED:
        return None
    return parent.alert_id if now < group.opened_at + window else None
