"""Periods are divided without a hole or an overlap, also where clocks change."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain.figures import Window
from services.sla.domain.steps import Step, divided

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(text: str) -> datetime:
    """An instant of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def hours(start: str, end: str, step: Step, zone: str) -> list[float]:
    """The lengths of the steps in hours."""
    steps = divided(Window(at(start), at(end)), step, ZoneInfo(zone))
    return [(window.end - window.start) / HOUR for window in steps]


@pytest.mark.parametrize(
    ("start", "end", "step", "zone", "lengths"),
    [
        ("2026-03-01", "2026-03-03", Step.DAY, "UTC", [24, 24]),
        ("2026-03-01T12:00", "2026-03-02T06:00", Step.DAY, "UTC", [12, 6]),
        ("2026-03-07T06:00", "2026-03-10T05:00", Step.DAY, "America/Chicago", [24, 23, 24]),
        ("2026-10-31T05:00", "2026-11-03T06:00", Step.DAY, "America/Chicago", [24, 25, 24]),
        ("2026-09-05T04:00", "2026-09-08T03:00", Step.DAY, "America/Santiago", [24, 23, 24]),
        ("2026-03-27T23:00", "2026-03-29T22:00", Step.DAY, "Europe/Berlin", [24, 23]),
        ("2026-03-22T23:00", "2026-04-05T22:00", Step.WEEK, "Europe/Berlin", [167, 168]),
        ("2026-03-01", "2026-03-09", Step.WEEK, "UTC", [24, 168]),
        ("2026-03-29T00:30", "2026-03-29T03:00", Step.HOUR, "Europe/Berlin", [0.5, 1, 1]),
        ("2026-03-01T10:10", "2026-03-01T10:20", Step.WEEK, "UTC", [1 / 6]),
    ],
)
def test_lengths(start: str, end: str, step: Step, zone: str, lengths: list[float]) -> None:
    """Days of 23 and 25 hours, a midnight that is skipped, weeks from Monday on, and cut ends."""
    assert hours(start, end, step, zone) == lengths


@given(
    st.integers(0, 10**9).map(lambda seconds: at("2000-01-01") + timedelta(seconds=seconds)),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=40)),
    st.sampled_from(list(Step)),
    st.sampled_from(
        ["UTC", "America/Chicago", "Australia/Lord_Howe", "Asia/Beirut", "America/Havana", "Pacific/Apia"]
    ),
)
def test_steps_cover_the_period_exactly(start: datetime, length: timedelta, step: Step, zone: str) -> None:
    """Each begins where the one before ends, and none is empty."""
    window = Window(start, start + length)
    steps = list(divided(window, step, ZoneInfo(zone)))
    assert (steps[0].start, steps[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(steps))
    assert all(one.start < one.end for one in steps)
    if step is Step.DAY:
        days = [one.start.astimezone(ZoneInfo(zone)).date() for one in steps]
        assert all(one < other for one, other in pairwise(days))
