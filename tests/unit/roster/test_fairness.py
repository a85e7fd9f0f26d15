"""What each person bears is what counting minute by minute on local clocks finds, across every change of clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.roster.domain.coverage import Segment
from services.roster.domain.fairness import Load, loads
from services.roster.domain.interval import Interval
from services.roster.domain.shift import Source
from tests.unit.roster.test_cover_properties import zones

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
EARLY, LATE, SATURDAY = 6, 22, 5


def counted(person: str, segments: list[Segment], zone: ZoneInfo) -> Load:
    """The load, minute by minute."""
    total, nights, weekends = timedelta(), timedelta(), timedelta()
    for segment in segments:
        at = segment.starts_at
        while at < segment.ends_at:
            there = at.astimezone(zone)
            total += MINUTE
            nights += MINUTE if there.hour < EARLY or there.hour >= LATE else timedelta()
            weekends += MINUTE if there.weekday() >= SATURDAY else timedelta()
            at += MINUTE
    return Load(person, total, nights, weekends)


def segment(start: datetime, length: timedelta, person: str = "ada") -> Segment:
    """A segment of a layer."""
    return Segment(person, start, start + length, Source.LAYER, "base")


@settings(max_examples=60, deadline=None)
@given(zones(), st.integers(0, 18_000_000), st.lists(st.integers(0, 3_000), min_size=2, max_size=6))
def test_loads_are_what_counting_finds(zone: ZoneInfo, offset: int, ends: list[int]) -> None:
    start = datetime(1990, 1, 1, tzinfo=UTC) + offset * MINUTE
    window = Interval(start, start + 3_000 * MINUTE)
    if any(there.second for there in (at.astimezone(zone) for at in window)):
        return  # an offset of odd seconds: the minutes of two clocks do not match
    pairs = zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    segments = [segment(start + a * MINUTE, (b - a) * MINUTE) for a, b in pairs if a < b]
    assert loads(segments, ["ada"], zone, window) == [counted("ada", segments, zone)]


@pytest.mark.parametrize(
    ("zone", "day", "total", "nights"),
    [
        ("America/Chicago", "2026-03-08", 23, 7),
        ("America/Chicago", "2026-11-01", 25, 9),
        ("Australia/Lord_Howe", "2026-10-04", 23.5, 7.5),
        ("Australia/Lord_Howe", "2026-04-05", 24.5, 8.5),
        ("Asia/Kolkata", "2026-03-08", 24, 8),
    ],
)
def test_days_on_which_clocks_change(zone: str, day: str, total: float, nights: float) -> None:
    there = ZoneInfo(zone)
    start = datetime.fromisoformat(day).replace(tzinfo=there)
    end = (datetime.fromisoformat(day) + DAY).replace(tzinfo=there)
    window = Interval(start.astimezone(UTC), end.astimezone(UTC))
    whole = segment(window.starts_at, window.ends_at - window.starts_at)
    [load] = loads([whole], [], there, window)
    assert (load.total / HOUR, load.nights / HOUR, load.weekends / HOUR) == (total, nights, total)


def test_everybody_named_is_there_by_id() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    found = loads([segment(start, DAY, "cyd")], ["bob", "ada"], ZoneInfo("UTC"), Interval(start, start + DAY))
    assert [(load.responder_id, load.total) for load in found] == [
        ("ada", timedelta()),
        ("bob", timedelta()),
        ("cyd", DAY),
    ]
