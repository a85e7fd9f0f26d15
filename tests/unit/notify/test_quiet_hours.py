"""Quiet hours go by the clock on the wall, in summer, in winter and in the nights between."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.notify.domain.quiet_hours import NEVER_ENDING, QuietHours, never_end, over

ZONES = (
    "UTC", "Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Africa/Cairo",
)  # fmt: skip
MONDAY, SATURDAY, SUNDAY = 0, 5, 6
MINUTE = timedelta(minutes=1)


def night(start: str = "22:00", end: str = "07:00", zone: str = "Europe/Berlin", *days: int) -> QuietHours:
    return QuietHours(time.fromisoformat(start), time.fromisoformat(end), zone, frozenset(days))


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"), fold=fold).astimezone(UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        ("2026-03-10T21:59", None),
        ("2026-03-10T22:00", "2026-03-11T07:00"),
        ("2026-03-11T06:59", "2026-03-11T07:00"),
        ("2026-03-11T07:00", None),
        ("2026-03-28T23:00", "2026-03-29T07:00"),  # an hour is missing in this night
        ("2026-10-24T23:00", "2026-10-25T07:00"),  # an hour is there twice
    ],
)
def test_a_night(at: str, until: str | None) -> None:
    assert night().until(berlin(at)) == (until and berlin(until))


def test_an_end_that_clocks_skip_is_when_they_skip_it() -> None:
    skipped = night("22:00", "02:30")
    assert skipped.until(berlin("2026-03-29T01:59")) == berlin("2026-03-29T03:00")
    assert skipped.until(berlin("2026-03-29T03:00")) is None


def test_an_end_that_clocks_skip_may_be_midnight() -> None:
    """In Cairo the day of the change begins at one o'clock."""
    cairo = ZoneInfo("Africa/Cairo")
    for end in ("00:00", "00:30", "01:00"):
        until = night("20:00", end, "Africa/Cairo").until(datetime(2026, 4, 23, 21, tzinfo=UTC))
        assert until == datetime(2026, 4, 24, 1, tzinfo=cairo)


def test_an_end_that_clocks_show_twice_is_the_second_and_a_start_the_first() -> None:
    assert night("22:00", "02:30").until(berlin("2026-10-25T02:10", fold=1)) == berlin(
        "2026-10-25T02:30", fold=1
    )
    assert night("02:30", "04:00").until(berlin("2026-10-25T02:10", fold=1)) == berlin("2026-10-25T04:00")
    assert night("02:30", "04:00").until(berlin("2026-10-25T02:10", fold=0)) is None


def test_weekdays_are_those_on_which_they_begin() -> None:
    weekend = night("22:00", "07:00", "Europe/Berlin", SATURDAY)
    assert weekend.until(berlin("2026-03-14T23:00")) == berlin("2026-03-15T07:00")
    assert weekend.until(berlin("2026-03-15T06:00")) == berlin("2026-03-15T07:00")
    assert weekend.until(berlin("2026-03-15T23:00")) is None


def test_the_same_time_twice_is_a_whole_day_and_days_join() -> None:
    days = [night("00:00", "00:00", "Europe/Berlin", SATURDAY, SUNDAY), night("00:00", "08:00")]
    assert over(days, berlin("2026-03-13T23:59")) == berlin("2026-03-13T23:59")
    assert over(days, berlin("2026-03-14T00:00")) == berlin("2026-03-16T08:00")


def test_what_never_ends_is_found() -> None:
    assert never_end([night("00:00", "00:00")], berlin("2026-03-14T00:00"))
    assert never_end([night("22:00", "09:00"), night("08:00", "23:00")], berlin("2026-03-14T00:00"))
    assert not never_end([night("00:00", "23:59")], berlin("2026-03-14T00:00"))
    assert (
        over([night("00:00", "00:00")], berlin("2026-03-14T00:00"))
        == berlin("2026-03-14T00:00") + NEVER_ENDING
    )


quiet_hours = st.builds(
    QuietHours,
    start=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    end=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
    time_zone=st.sampled_from(ZONES),
    weekdays=st.frozensets(st.integers(0, 6), max_size=3),
)
changes = [  # when the clocks of these zones change, and a day without
    datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 8, tzinfo=UTC), datetime(2026, 11, 1, 7, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 4, 23, 22, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC),
]  # fmt: skip
moments = st.builds(
    lambda near, minutes: near + minutes * MINUTE, st.sampled_from(changes), st.integers(-2 * 1440, 2 * 1440)
)


def shows(hours: QuietHours, at: datetime) -> bool:
    """Whether the clock on the wall is within the hours, read as people read it, weekdays aside."""
    wall = at.astimezone(ZoneInfo(hours.time_zone)).time()
    if hours.start < hours.end:
        return hours.start <= wall < hours.end
    return wall >= hours.start or wall < hours.end


@given(quiet_hours, moments)
def test_while_clocks_show_a_quiet_time_it_is_quiet(hours: QuietHours, at: datetime) -> None:
    """By whichever showing of an hour that is there twice; and it is never quiet else but between two showings."""
    every_day = QuietHours(hours.start, hours.end, hours.time_zone, frozenset())
    if shows(hours, at):
        assert every_day.until(at) is not None
    elif every_day.until(at) is not None:
        assert any(shows(hours, at + n * MINUTE) for n in range(-60, 61)), "an hour that is shown twice"


@given(st.lists(quiet_hours, max_size=4), moments)
def test_it_is_over_at_the_first_moment_that_is_not_quiet(quiet: list[QuietHours], at: datetime) -> None:
    moment = over(quiet, at)
    assert moment >= at
    assert moment.utcoffset() is not None
    if moment - at >= NEVER_ENDING:
        return
    assert all(hours.until(moment) is None for hours in quiet)
    step = max((moment - at) / 50, MINUTE)
    tried = at
    while tried < moment:
        assert any(hours.until(tried) is not None for hours in quiet)
        tried += step


@given(quiet_hours, moments)
@example(night("20:00", "00:30", "Africa/Cairo"), datetime(2026, 4, 23, 21, tzinfo=UTC))
@example(
    QuietHours(time(0), time(2, 30, fold=1), "Europe/Berlin", frozenset()), datetime(2026, 3, 29, tzinfo=UTC)
)
def test_a_stretch_lasts_as_long_as_the_wall_says_give_or_take_the_change(
    hours: QuietHours, at: datetime
) -> None:
    until = hours.until(at)
    if until is None:
        return
    assert timedelta() < until - at <= timedelta(hours=25)
    zone = ZoneInfo(hours.time_zone)
    before, after = (moment.astimezone(zone).replace(tzinfo=None) for moment in (until - MINUTE, until))
    end = datetime.combine(after, hours.end)
    assert after == end or before < end < after, "the end, or where clocks skip it"
