"""Turns and windows on the wall clock: the cases where clocks are set forward, set back or skip a day."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.roster.domain import walltime
from services.roster.domain.interval import Interval
from services.roster.domain.restriction import Restriction, windows
from services.roster.domain.rotation import Rotation, Unit, running, turns
from services.roster.domain.walltime import Clocks

CHICAGO, LORD_HOWE, APIA = (
    ZoneInfo("America/Chicago"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Pacific/Apia"),
)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def wall(text: str) -> datetime:
    """A local wall time."""
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "shown", "first", "last"),
    [
        (CHICAGO, "2020-03-08T02:00", "2020-03-08T08:00", "2020-03-08T08:00"),
        (CHICAGO, "2020-03-08T02:30", "2020-03-08T08:00", "2020-03-08T08:00"),
        (CHICAGO, "2020-03-08T03:00", "2020-03-08T08:00", "2020-03-08T08:00"),
        (CHICAGO, "2020-11-01T00:59", "2020-11-01T05:59", "2020-11-01T05:59"),
        (CHICAGO, "2020-11-01T01:00", "2020-11-01T06:00", "2020-11-01T07:00"),
        (CHICAGO, "2020-11-01T02:00", "2020-11-01T08:00", "2020-11-01T08:00"),
        (LORD_HOWE, "2020-10-04T02:15", "2020-10-03T15:30", "2020-10-03T15:30"),
        (LORD_HOWE, "2020-04-05T01:45", "2020-04-04T14:45", "2020-04-04T15:15"),
        (APIA, "2011-12-30T09:00", "2011-12-30T10:00", "2011-12-30T10:00"),
    ],
)
def test_a_wall_time_has_one_instant(zone: ZoneInfo, shown: str, first: str, last: str) -> None:
    assert walltime.first(wall(shown), zone) == utc(first)
    assert walltime.last(wall(shown), zone) == utc(last)


@pytest.mark.parametrize(
    ("zone", "unit", "start", "at", "begins", "length"),
    [
        (CHICAGO, Unit.DAILY, "2017-01-01T08:00", "2017-03-11T20:00", "2017-03-11T14:00", 23 * HOUR),
        (CHICAGO, Unit.DAILY, "2017-01-01T08:00", "2017-11-04T20:00", "2017-11-04T13:00", 25 * HOUR),
        (CHICAGO, Unit.HOURLY, "2020-01-01T00:00", "2020-11-01T06:30", "2020-11-01T06:00", 2 * HOUR),
        (CHICAGO, Unit.HOURLY, "2020-01-01T00:00", "2020-11-01T07:30", "2020-11-01T06:00", 2 * HOUR),
        (LORD_HOWE, Unit.DAILY, "2020-01-01T02:15", "2020-10-03T15:30", "2020-10-03T15:30", 23.75 * HOUR),
        (LORD_HOWE, Unit.DAILY, "2020-01-01T02:15", "2020-10-03T15:29", "2020-10-02T15:45", 23.75 * HOUR),
    ],
)
def test_turns_follow_the_wall_clock(
    zone: ZoneInfo, unit: Unit, start: str, at: str, begins: str, length: timedelta
) -> None:
    turn = running(Rotation(unit, 1, wall(start)), zone, utc(at))
    assert (turn.starts_at, turn.ends_at - turn.starts_at) == (utc(begins), length)


def test_a_handoff_that_clocks_skip_is_at_the_end_of_the_gap() -> None:
    turn = running(Rotation(Unit.DAILY, 1, wall("2020-03-01T02:30")), CHICAGO, utc("2020-03-08T12:00"))
    assert turn.starts_at == utc("2020-03-08T08:00")
    assert turn.ends_at == utc("2020-03-09T07:30")


def test_a_skipped_day_has_no_turn() -> None:
    rotation = Rotation(Unit.DAILY, 1, wall("2011-12-01T00:00"))
    around = Interval(utc("2011-12-28T00:00"), utc("2012-01-02T00:00"))
    found = [turn.number for turn in turns(rotation, Clocks(APIA, around), around)]
    assert found == [26, 27, 28, 30, 31, 32]


@pytest.mark.parametrize("zone", [CHICAGO, LORD_HOWE, APIA])
def test_24_hours_are_a_day(zone: ZoneInfo) -> None:
    start = wall("2011-03-05T02:15")
    window = Interval(utc("2011-01-01T00:00"), utc("2012-12-31T00:00"))
    hourly = list(turns(Rotation(Unit.HOURLY, 24, start), Clocks(zone, window), window))
    assert hourly == list(turns(Rotation(Unit.DAILY, 1, start), Clocks(zone, window), window))


def test_a_monthly_handoff_falls_on_the_last_day_of_a_short_month() -> None:
    rotation = Rotation(Unit.MONTHLY, 1, wall("2024-01-31T09:00"))
    assert [str(rotation.handoff(turn).date()) for turn in range(-2, 6)] == [
        "2023-11-30",
        "2023-12-31",
        "2024-01-31",
        "2024-02-29",
        "2024-03-31",
        "2024-04-30",
        "2024-05-31",
        "2024-06-30",
    ]


@pytest.mark.parametrize("unit", list(Unit))
@pytest.mark.parametrize("length", [1, 3])
def test_turns_are_counted_in_both_directions(unit: Unit, length: int) -> None:
    rotation = Rotation(unit, length, wall("2024-01-31T09:00"))
    for turn in range(-40, 40):
        begins, following = rotation.handoff(turn), rotation.handoff(turn + 1)
        assert rotation.turn_at(begins) == turn
        assert rotation.turn_at(following - timedelta.resolution) == turn


def test_active_days_alone_are_counted() -> None:
    weekdays = frozenset(range(5))
    rotation = Rotation(Unit.DAILY, 1, wall("2026-03-07T09:00"), weekdays)  # a Saturday
    assert [str(rotation.handoff(turn).date()) for turn in range(-2, 7)] == [
        "2026-03-05",
        "2026-03-06",
        "2026-03-09",
        "2026-03-10",
        "2026-03-11",
        "2026-03-12",
        "2026-03-13",
        "2026-03-16",
        "2026-03-17",
    ]
    for turn in range(-20, 20):
        assert rotation.turn_at(rotation.handoff(turn)) == turn
        assert rotation.turn_at(rotation.handoff(turn + 1) - timedelta.resolution) == turn


def hours(restriction: Restriction, zone: ZoneInfo, start: str, end: str) -> list[tuple[str, str]]:
    """The windows as text."""
    within = Interval(utc(start), utc(end))
    found = windows([restriction], Clocks(zone, within), within)
    return [(f"{w.starts_at:%dT%H:%M}", f"{w.ends_at:%dT%H:%M}") for w in found]


def test_an_overnight_window_belongs_to_the_day_on_which_it_starts() -> None:
    friday = Restriction(frozenset({4}), time(22), time(6))
    assert hours(friday, ZoneInfo("UTC"), "2026-03-02T00:00", "2026-03-09T00:00") == [
        ("06T22:00", "07T06:00")
    ]
    assert hours(friday, ZoneInfo("UTC"), "2026-03-07T05:00", "2026-03-07T07:00") == [
        ("07T05:00", "07T06:00")
    ]


def test_the_same_time_twice_is_24_hours_and_such_days_in_a_row_are_one_window() -> None:
    weekend = Restriction(frozenset({5, 6}), time(), time())
    assert hours(weekend, ZoneInfo("UTC"), "2026-03-02T00:00", "2026-03-10T00:00") == [
        ("07T00:00", "09T00:00")
    ]
    always = Restriction(frozenset(), time(1, 30), time(1, 30))
    assert hours(always, CHICAGO, "2020-10-25T00:00", "2020-11-05T00:00") == [("25T00:00", "05T00:00")]


def test_a_window_ends_at_the_last_showing_of_its_end() -> None:
    nightly = Restriction(frozenset(), time(22), time(1, 30))
    assert hours(nightly, CHICAGO, "2020-11-01T00:00", "2020-11-02T00:00") == [("01T03:00", "01T07:30")]
    late = Restriction(frozenset(), time(1, 30), time(3))
    assert hours(late, CHICAGO, "2020-11-01T00:00", "2020-11-02T00:00") == [("01T06:30", "01T09:00")]


def test_a_window_that_clocks_skip_does_not_open() -> None:
    night = Restriction(frozenset(), time(2), time(3))
    assert hours(night, CHICAGO, "2020-03-08T06:00", "2020-03-09T06:00") == []
