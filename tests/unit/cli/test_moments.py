"""Instants and lengths of time are read as people write them, and nothing else is."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cli.moments import coming, instant, length, past, rfc3339, shown, spoken

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("+2h", NOW + timedelta(hours=2)),
        ("-1h30m", NOW - timedelta(minutes=90)),
        ("2026-03-01T09:00Z", NOW - timedelta(hours=3)),
        ("2026-03-01T09:00+01:00", NOW - timedelta(hours=4)),
        ("2026-03-01T09:00:00.5+00:00", datetime(2026, 3, 1, 9, 0, 0, 500_000, tzinfo=UTC)),
    ],
)
def test_instants(text: str, expected: datetime) -> None:
    assert instant(text, now=NOW) == expected


def test_an_instant_without_an_offset_is_of_this_machines_zone() -> None:
    assert instant("2026-03-01T09:00", now=NOW) == datetime(2026, 3, 1, 9, 0).astimezone()
    assert instant("2026-03-01", now=NOW) == datetime(2026, 3, 1).astimezone()


def test_a_bare_length_is_ago_or_from_now() -> None:
    assert past("2h", now=NOW) == NOW - timedelta(hours=2)
    assert coming("2h", now=NOW) == NOW + timedelta(hours=2)
    assert past("2026-03-01T09:00Z", now=NOW) == coming("2026-03-01T09:00Z", now=NOW)


@pytest.mark.parametrize("text", ["", "soon", "+", "-", "2h", "+2w", "2026-13-01", "+99999999d", "+0s"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match="is not an instant"):
        instant(text, now=NOW)


def test_lengths() -> None:
    assert length("1h30m") == timedelta(minutes=90)
    assert length("90s") == timedelta(seconds=90)
    for wrong in ("", "1h30", "h", "1h 30m", "-1h"):
        with pytest.raises(ValueError, match="is not a duration"):
            length(wrong)


def test_instants_go_to_the_api_in_utc_and_come_back_in_a_zone() -> None:
    assert rfc3339(NOW.astimezone(ZoneInfo("Asia/Tokyo"))) == "2026-03-01T12:00:00Z"
    assert shown("2026-03-01T12:00:00.25Z", ZoneInfo("Asia/Tokyo")) == "2026-03-01 21:00:00"
    assert shown(None) == "–"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0s"), (-5, "0s"), (45, "45s"), (125, "2m 5s"), (11_400, "3h 10m"), (90_000, "1d 1h"), (3600, "1h")],
)
def test_lengths_for_people(seconds: int, expected: str) -> None:
    assert spoken(timedelta(seconds=seconds)) == expected
