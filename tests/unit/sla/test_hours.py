"""The time of a promise runs in business hours alone, exact across clock changes."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain.hours import BusinessHours, Hours

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WEEK = frozenset(range(5))


def at(text: str, zone: str = "UTC") -> datetime:
    """An instant, from the wall time of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def office(zone: str = "UTC", start: str = "09:00", end: str = "17:00") -> BusinessHours:
    """Monday to Friday."""
    return BusinessHours(zone, (Hours(WEEK, time.fromisoformat(start), time.fromisoformat(end)),))


@pytest.mark.parametrize(
    ("start", "length", "end"),
    [
        ("2026-03-02T10:00", HOUR, "2026-03-02T11:00"),
        ("2026-03-02T08:00", HOUR, "2026-03-02T10:00"),
        ("2026-03-02T16:30", HOUR, "2026-03-03T09:30"),
        ("2026-03-02T16:00", HOUR, "2026-03-02T17:00"),
        ("2026-03-06T16:30", HOUR, "2026-03-09T09:30"),
        ("2026-03-07T12:00", 8 * HOUR, "2026-03-09T17:00"),
        ("2026-03-02T09:00", 40 * HOUR, "2026-03-06T17:00"),
    ],
)
def test_nights_and_weekends_do_not_count(start: str, length: timedelta, end: str) -> None:
    """Also over a weekend; a length that ends with a window ends there."""
    assert office().after(at(start), length) == at(end)


@pytest.mark.parametrize(
    ("hours", "start", "length", "end"),
    [
        # Chicago's clocks go forward at 02:00 on 8 March 2026, back at 02:00 on 1 November.
        (Hours(frozenset(), time(1), time(4)), "2026-03-08T00:00", 2 * HOUR, "2026-03-08T04:00"),
        (Hours(frozenset(), time(1), time(4)), "2026-11-01T00:00", 4 * HOUR, "2026-11-01T04:00"),
        (Hours(frozenset(), time(2, 30), time(4)), "2026-03-08T00:00", HOUR, "2026-03-08T04:00"),
        (Hours(frozenset(), time(22), time(6)), "2026-03-07T23:00", 6 * HOUR, "2026-03-08T06:00"),
        (Hours(frozenset(), time(), time()), "2026-03-07T12:00", DAY, "2026-03-08T13:00"),
    ],
)
def test_clocks_change(hours: Hours, start: str, length: timedelta, end: str) -> None:
    """A window of a skipped hour begins where the clocks land; the hour that comes twice counts twice."""
    zone = "America/Chicago"
    assert BusinessHours(zone, (hours,)).after(at(start, zone), length) == at(end, zone)


def test_overlapping_windows_run_once() -> None:
    """And those that touch run on."""
    windows = tuple(Hours(frozenset(), time(a), time(b)) for a, b in ((9, 12), (10, 14), (14, 15)))
    assert BusinessHours("UTC", windows).after(at("2026-03-02T08:00"), 6 * HOUR) == at("2026-03-02T15:00")


def test_what_never_comes_is_said() -> None:
    """A window that clocks skip every year is no window."""
    assert BusinessHours("UTC", ()).after(at("2026-03-02T08:00"), HOUR) is None
    minute = (Hours(frozenset({0}), time(9), time(9, 1)),)
    assert BusinessHours("UTC", minute).after(at("2026-03-02T08:00"), 30 * DAY) is None


@given(
    st.integers(0, 10**6),
    st.lists(st.integers(0, 3000), min_size=1, max_size=6),
    st.sampled_from(["UTC", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu"]),
)
def test_lengths_add_up(start: int, lengths: list[int], zone: str) -> None:
    """Half the time and then the other half is the whole, wherever it is cut."""
    hours = BusinessHours(
        zone, (Hours(WEEK, time(9), time(17)), Hours(frozenset({6}), time(22), time(3, 30)))
    )
    began = at("2026-01-01T00:00") + start * MINUTE
    ends = [began]
    for length in lengths:
        end = hours.after(ends[-1], length * MINUTE)
        assert end is not None
        ends.append(end)
    whole = hours.after(began, sum(lengths) * MINUTE)
    assert whole is not None
    assert hours.after(whole, MINUTE) == hours.after(ends[-1], MINUTE)
    assert all(one <= other for one, other in pairwise(ends))
