"""When a level is for an alert: by severity, day and hour, on the clocks of a zone."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.escalation.domain.condition import Condition

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NINE, FIVE = time(9), time(17)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of the week of the 2nd of March 2026, UTC; day 0 is Monday."""
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(
    ("condition", "instants", "others"),
    [
        (Condition(), [at(0, 0), at(6, 23, 59)], []),
        (Condition(start_time=NINE, end_time=FIVE), [at(0, 9), at(3, 16, 59)], [at(0, 8, 59), at(0, 17)]),
        (
            Condition(weekdays=frozenset({0, 1, 2, 3, 4}), start_time=NINE, end_time=FIVE),
            [at(0, 9), at(4, 16)],
            [at(5, 9), at(6, 16), at(0, 17)],
        ),
        (
            Condition(weekdays=frozenset({4}), start_time=time(18), end_time=time(6)),
            [at(4, 18), at(4, 23, 59), at(5, 0), at(5, 5, 59)],
            [at(4, 5), at(4, 17, 59), at(5, 6), at(5, 18)],
        ),
        (Condition(weekdays=frozenset({5})), [at(5, 0), at(5, 23, 59)], [at(4, 23, 59), at(6, 0)]),
        (
            Condition(weekdays=frozenset({5}), start_time=NINE, end_time=NINE),
            [at(5, 9), at(6, 8, 59)],
            [at(5, 8, 59), at(6, 9)],
        ),
        (
            Condition(start_time=NINE, end_time=FIVE, time_zone="America/New_York"),
            [at(0, 14), at(0, 21, 59)],
            [at(0, 13, 59), at(0, 22)],
        ),
    ],
)
def test_the_hours_of_the_week(
    condition: Condition, instants: list[datetime], others: list[datetime]
) -> None:
    """The end is not included; hours past midnight belong to the day on which they begin."""
    assert all(condition.holds("LOW", now) for now in instants)
    assert not any(condition.holds("LOW", now) for now in others)


def test_the_severity() -> None:
    """None named means every one; both must hold."""
    condition = Condition(severities=frozenset({"CRITICAL", "HIGH"}), start_time=NINE, end_time=FIVE)
    assert condition.holds("HIGH", at(0, 12))
    assert not condition.holds("LOW", at(0, 12))
    assert not condition.holds("HIGH", at(0, 20))


def test_clocks_that_change() -> None:
    """Wall-clock hours: 09:00 in Berlin is 08:00 UTC in winter and 07:00 in summer."""
    condition = Condition(start_time=NINE, end_time=FIVE, time_zone="Europe/Berlin")
    assert not condition.holds("LOW", datetime(2026, 3, 28, 7, tzinfo=UTC))
    assert condition.holds("LOW", datetime(2026, 3, 29, 7, tzinfo=UTC))


@given(
    st.integers(0, 10 * 366 * 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes)),
    st.times(),
    st.times(),
    st.frozensets(st.integers(0, 6)),
)
def test_hours_and_those_between_them_are_the_whole_day(
    now: datetime, start: time, end: time, days: frozenset[int]
) -> None:
    """Of conditions that meet at both ends exactly one holds, when every day is named."""
    one, other = Condition(start_time=start, end_time=end), Condition(start_time=end, end_time=start)
    if start != end:
        assert one.holds("LOW", now) != other.holds("LOW", now)
    named = Condition(weekdays=days, start_time=start, end_time=end)
    assert named.holds("LOW", now) <= one.holds("LOW", now)
