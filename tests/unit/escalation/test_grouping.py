"""Who stands behind whom."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.escalation.domain.alert import Report, Severity, State, opened
from services.escalation.domain.grouping import Group, in_front

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ID = UUID(int=7)
MINUTE = timedelta(minutes=1)
PARENT = opened(
    Report("t", "", Severity.HIGH, "", "", {}), alert_id=ID, policy_id="p", quiet=None, now=NOW
).alert


def test_within_the_window_alerts_stand_behind_the_first() -> None:
    """From its opening on, the end not included."""
    group = Group(ID, NOW)
    assert in_front(group, PARENT, window=MINUTE, now=NOW) == ID
    assert in_front(group, PARENT, window=MINUTE, now=NOW + MINUTE - timedelta(microseconds=1)) == ID
    assert in_front(group, PARENT, window=MINUTE, now=NOW + MINUTE) is None


def test_without_a_first_one_opens() -> None:
    """Also when the first is not known any more."""
    assert in_front(Group(), None, window=MINUTE, now=NOW) is None
    assert in_front(Group(ID, NOW), None, window=MINUTE, now=NOW) is None


@pytest.mark.parametrize(
    ("state", "front"), [(State.OPEN, ID), (State.ACKED, ID), (State.CLOSED, None), (State.SUPPRESSED, None)]
)
def test_a_first_that_is_over_has_nobody_behind(state: State, front: UUID | None) -> None:
    """One that somebody has taken has: it is known of."""
    parent = PARENT._replace(state=state)
    assert in_front(Group(ID, NOW), parent, window=MINUTE, now=NOW) == front


def test_one_that_has_joined_stays_behind_however_long_ago() -> None:
    """The window is for those who come."""
    assert in_front(Group(ID, NOW), PARENT, window=None, now=NOW + timedelta(days=1)) == ID
