"""A schedule is drawn true to time: whole cells, parts of cells, days of the schedule's zone."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from cli.bars import axis, bars, dots, ruler

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""


def segment(who: str, begin: float, end: float) -> dict[str, str]:
    """A stretch between two hours after the start."""
    return {
        "responder_id": who,
        "starts_at": (START + timedelta(hours=begin)).isoformat(),
        "ends_at": (START + timedelta(hours=end)).isoformat(),
    }


def test_each_person_has_a_bar_in_the_order_of_their_first_turn() -> None:
    drawn = bars(
        [segment("bob", 4, 6), segment("ada", 0, 4), segment("bob", 8, 10)],
        START,
        START + timedelta(hours=10),
        cells=10,
    )
    assert drawn == [("ada", "████······"), ("bob", "····██··██")]


def test_a_part_of_a_cell_shows() -> None:
    drawn = bars([segment("ada", 0.5, 2.5)], START, START + timedelta(hours=4), cells=4)
    assert drawn == [("ada", "▒█▒·")]


def test_two_stretches_of_one_person_fill_a_cell_together() -> None:
    drawn = bars([segment("ada", 0, 1), segment("ada", 1, 2)], START, START + timedelta(hours=2), cells=1)
    assert drawn == [("ada", "█")]


@given(st.floats(-50, 50), st.floats(0.01, 100), st.integers(1, 200))
def test_a_bar_is_as_long_as_the_axis_whatever_the_stretch(begin: float, lasts: float, cells: int) -> None:
    for _, bar in bars([segment("ada", begin, begin + lasts)], START, START + timedelta(hours=24), cells):
        assert len(bar) == cells


def test_days_are_those_of_the_zone() -> None:
    week = axis(START, START + timedelta(days=7), UTC, cells=84)
    assert week.split() == [
        "Mon",
        "02",
        "Tue",
        "03",
        "Wed",
        "04",
        "Thu",
        "05",
        "Fri",
        "06",
        "Sat",
        "07",
        "Sun",
        "08",
    ]
    tokyo = axis(START, START + timedelta(days=1), ZoneInfo("Asia/Tokyo"), cells=48)
    assert tokyo.split() == ["12:00", "18:00", "Tue", "03", "06:00"]
    assert tokyo.index("Tue") == 48 * 15 // 24


def test_labels_without_room_are_left_out() -> None:
    for cells in range(1, 120):
        assert len(axis(START, START + timedelta(days=30), UTC, cells)) <= cells
    assert axis(START, START + timedelta(days=14), UTC, cells=28).split()[:4] == ["Mon", "02", "Fri", "06"]


def test_a_day_that_is_shorter_has_its_own_midnight() -> None:
    """Chicago's clocks go forward on 8 March 2026."""
    chicago = ZoneInfo("America/Chicago")
    start = datetime(2026, 3, 8, tzinfo=chicago)
    end = datetime(2026, 3, 10, tzinfo=chicago)
    line = axis(start.astimezone(UTC), end.astimezone(UTC), chicago, cells=47)
    assert line.index("Mon 09") == 23


def test_dots_and_their_ruler() -> None:
    """A dot at each instant, below how long after the start it is, where there is room."""
    minutes = [START + timedelta(minutes=after) for after in (0, 5, 10)]
    end = START + timedelta(minutes=20)
    told = [("ada", minutes[0]), ("bob", minutes[1]), ("ada", minutes[2]), ("ada", minutes[2]), ("bob", end)]
    assert dots(told, START, end, 20) == [("ada", "●·········●·········"), ("bob", "·····●·············●")]
    assert ruler([end, *minutes], START, end, 20) == "+0s  +5m  +10m  +20m"
    assert ruler([end, *minutes], START, end, 10) == "+0s  +10m"
