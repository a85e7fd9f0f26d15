"""Windows that recur: by the wall clock, across its changes, and never a long computation."""

import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Problems
from services.escalation.domain.recurrence import Recurrence, check_recurrence
from services.escalation.domain.silence import FOREVER, SilenceRule, SilenceState, expire

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT, MINUTE = timedelta(hours=8), timedelta(minutes=1)
WEEKDAYS = Recurrence("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "Europe/Berlin", NIGHT)


def local(*parts: int) -> datetime:
    """An instant by Berlin's clock."""
    return datetime(*parts, tzinfo=BERLIN).astimezone(UTC)  # type: ignore[misc,arg-type]


def windows(
    rrule: str, start: datetime, length: timedelta, count: int, zone: str = "Europe/Berlin"
) -> list[str]:
    """The first windows, as wall times of the zone."""
    found = islice(Recurrence(rrule, zone, length).windows(start, start), count)
    return [
        f"{one.astimezone(ZoneInfo(zone)):%a %d %H:%M%z}-{end.astimezone(ZoneInfo(zone)):%H:%M%z}"
        for one, end in found
    ]


def problem(rrule: str) -> str:
    """What is said of a rule; '' when it is taken."""
    problems = Problems()
    rule = Recurrence(rrule, "Europe/Berlin", NIGHT)
    check_recurrence(problems, "recurrence", rule, local(2026, 3, 1, 22))
    return "; ".join(f"{field.path}: {field.description}" for field in problems.found)


def test_nights_are_nights_when_the_clocks_change() -> None:
    """From 22:00 to 06:00 on the wall: seven hours long in spring, nine in autumn."""
    assert windows("FREQ=DAILY", local(2026, 3, 27, 22), NIGHT, 3) == [
        "Fri 27 22:00+0100-06:00+0100",
        "Sat 28 22:00+0100-06:00+0200",
        "Sun 29 22:00+0200-06:00+0200",
    ]
    spans = [
        end - start
        for start, end in islice(
            Recurrence("FREQ=DAILY", "Europe/Berlin", NIGHT).windows(
                local(2026, 10, 24, 22), local(2026, 10, 24, 22)
            ),
            2,
        )
    ]
    assert spans == [timedelta(hours=9), timedelta(hours=8)]


def test_times_that_are_skipped_or_come_twice() -> None:
    """A skipped start is when the clocks go on; a window that ends at a time that comes twice holds both."""
    hour = timedelta(hours=1)
    assert windows("FREQ=DAILY", local(2026, 3, 28, 2, 30), hour, 2) == [
        "Sat 28 02:30+0100-03:30+0100",
        "Sun 29 03:00+0200-03:30+0200",
    ]
    assert windows("FREQ=DAILY", local(2026, 10, 24, 1, 30), hour, 2) == [
        "Sat 24 01:30+0200-02:30+0200",
        "Sun 25 01:30+0200-02:30+0100",
    ]


@pytest.mark.parametrize(
    ("rrule", "days"),
    [
        ("FREQ=WEEKLY;BYDAY=SA,SU", ["Sun 01", "Sat 07", "Sun 08"]),
        ("FREQ=WEEKLY;INTERVAL=2", ["Sun 01", "Sun 15", "Sun 29"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["Tue 31", "Thu 30", "Fri 29"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["Fri 27", "Fri 24", "Fri 29"]),
        ("FREQ=DAILY;COUNT=2", ["Sun 01", "Mon 02"]),
        ("FREQ=DAILY;UNTIL=20260302", ["Sun 01", "Mon 02"]),
        ("FREQ=DAILY;UNTIL=20260302T205959Z", ["Sun 01"]),
        ("FREQ=DAILY;BYHOUR=1,13", ["Mon 02", "Mon 02", "Tue 03"]),
        ("freq=daily;interval=3;", ["Sun 01", "Wed 04", "Sat 07"]),
    ],
)
def test_rules(rrule: str, days: list[str]) -> None:
    """As RFC 5545 has them."""
    assert problem(rrule) == ""
    found = windows(rrule, local(2026, 3, 1, 22), timedelta(hours=2), 3)
    assert [window[:6] for window in found] == days


@pytest.mark.parametrize(
    ("rrule", "said"),
    [
        ("", "is required"),
        ("FREQ=DAILY" + ";" * 300, "has 310 characters"),
        ("FREQ=MINUTELY", "want one of DAILY, WEEKLY"),
        ("INTERVAL=2", "has no FREQ"),
        ("FREQ=DAILY;FREQ=DAILY", "given twice"),
        ("FREQ=DAILY;BYEASTER=1", "'BYEASTER' is not among"),
        ("FREQ=WEEKLY;INTERVAL=54", "want 1 to 53 with WEEKLY"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH has '13'; want 1 to 12"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY has 'XX'"),
        ("FREQ=WEEKLY;BYDAY=1MO", "BYDAY has a number"),
        ("FREQ=DAILY;BYMINUTE=0,1,2,3,4;BYHOUR=1,2,3,4,5", "begins 25 times a day"),
        ("FREQ=DAILY;UNTIL=20260231", "is no date"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "no window within ten years"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "no window within ten years"),
        ("FREQ=MONTHLY;INTERVAL=12;BYMONTH=4", "no window within ten years"),
        ("FREQ=DAILY;UNTIL=20250101", "no window within ten years"),
    ],
)
def test_what_is_refused(rrule: str, said: str) -> None:
    """With the reason, and soon: dateutil alone would look for a day that never comes until the year 9999."""
    assert problem(rrule).startswith("recurrence.rrule: ")
    assert said in problem(rrule)


def test_an_old_rule_is_not_walked_through() -> None:
    """A window is found at once, however long ago the rule began."""
    start, now = local(1970, 1, 1, 22), local(2026, 3, 1, 23)
    began = time.process_time()
    first = next(Recurrence("FREQ=DAILY;BYHOUR=20,22", "Europe/Berlin", NIGHT).windows(start, now))
    assert time.process_time() - began < 0.5
    assert first[0] == local(2026, 3, 1, 20)


@given(
    st.integers(0, 700 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE),
    st.sampled_from(["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "UTC"]),
    st.integers(1, 300),
)
def test_windows_agree_with_the_wall_clock(now: datetime, zone: str, minutes: int) -> None:
    """An instant is in a window exactly when its wall time is, but for the hours in which the clocks change."""
    length = timedelta(minutes=minutes)
    rule = Recurrence("FREQ=DAILY", zone, length)
    start = datetime(2025, 12, 1, 3, 10, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    wall = now.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    today = wall.replace(hour=3, minute=10, second=0, microsecond=0)
    inside = today <= wall < today + length
    begin, end = next(rule.windows(start, now))
    days = {moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (now - NIGHT, now, now + NIGHT)}
    if len(days) == 1:
        assert (begin <= now) is inside
        assert end - begin == length
    assert all(one[1] > now for one in islice(rule.windows(start, now), 3))
    assert all(one[0] < next_[0] for one, next_ in pairwise(islice(rule.windows(start, now), 4)))


def test_a_silence_that_recurs_lives_in_its_windows() -> None:
    """PENDING between them, EXPIRED when no other comes; its end cuts the last one off."""
    friday = local(2026, 3, 6, 22)
    rule = SilenceRule("w", ('a="b"',), friday, FOREVER, "", "", friday, WEEKDAYS)
    hour = timedelta(hours=1)
    assert rule.state(friday - hour) is SilenceState.PENDING
    assert rule.state(friday) is SilenceState.ACTIVE
    assert rule.changes_at(friday) == friday + NIGHT
    assert rule.state(friday + NIGHT) is SilenceState.PENDING
    assert rule.changes_at(friday + NIGHT) == local(2026, 3, 9, 22)
    ended = expire(rule, friday + hour)
    assert ended.window(friday) == (friday, friday + hour)
    assert ended.state(friday + hour) is SilenceState.EXPIRED
    assert not ended.in_force(local(2026, 3, 9, 23))
    once = SilenceRule(
        "o",
        ('a="b"',),
        friday,
        FOREVER,
        "",
        "",
        friday,
        Recurrence("FREQ=DAILY;COUNT=1", "Europe/Berlin", NIGHT),
    )
    assert once.in_force(friday + hour)
    assert once.state(friday + NIGHT) is SilenceState.EXPIRED
    assert once.changes_at(friday + NIGHT) is None
