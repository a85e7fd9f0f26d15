"""Cover is complete and disjoint, and is what brute force finds, in every zone and across every change of clocks."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.roster.domain.coverage import Plan, cover, gaps, marked, segments
from services.roster.domain.interval import Interval
from services.roster.domain.restriction import Restriction
from services.roster.domain.rotation import Rotation, Unit, turns
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override, Shift
from services.roster.domain.time_off import Rule, TimeOff, leave
from services.roster.domain.timeline import Timeline
from services.roster.domain.walltime import Clocks
from tests.unit.roster.brute_force import by_minute, on_leave

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = sorted(available_timezones())
LIVELY = [
    "America/Chicago",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/St_Johns",
    "Africa/Casablanca",
    "Asia/Pyongyang",
    "Antarctica/Troll",
    "Europe/London",
]
PEOPLE = ["ada", "bob", "cyd", "dan"]


def next_change(zone: ZoneInfo, after: datetime) -> datetime:
    """The next instant within 400 days at which the zone's offset changes; `after` when there is none."""
    early = after
    for _ in range(400):
        late = early + DAY
        if late.astimezone(zone).utcoffset() != early.astimezone(zone).utcoffset():
            while late - early > MINUTE:
                middle = early + (late - early) // MINUTE // 2 * MINUTE
                same = middle.astimezone(zone).utcoffset() == early.astimezone(zone).utcoffset()
                early, late = (middle, late) if same else (early, middle)
            return late
        early = late
    return after


@st.composite
def zones(draw: st.DrawFn) -> ZoneInfo:
    """A zone, often one with unusual changes."""
    return ZoneInfo(draw(st.sampled_from(LIVELY) | st.sampled_from(ZONES)))


@st.composite
def windows(draw: st.DrawFn, zone: ZoneInfo) -> Interval:
    """A window of hours, often around a change of the zone's clocks."""
    day = draw(st.integers(0, 9_000))
    at = datetime(2005, 1, 1, tzinfo=UTC) + day * DAY + draw(st.integers(0, 1_439)) * MINUTE
    if draw(st.booleans()):
        at = next_change(zone, at) - draw(st.integers(0, 180)) * MINUTE
    return Interval(at, at + draw(st.integers(30, 240)) * MINUTE)


@st.composite
def layers(draw: st.DrawFn, name: str, around: datetime) -> Layer:
    """A layer whose rotation starts within years of the window, before or after."""
    unit = draw(st.sampled_from(Unit))
    start = around.replace(tzinfo=None) + draw(st.integers(-500_000, 500_000)) * MINUTE
    restriction = st.builds(
        Restriction,
        st.frozensets(st.integers(0, 6), max_size=5),
        st.times(max_value=time(23, 59)).map(whole),
        st.times(max_value=time(23, 59)).map(whole),
    )
    return Layer(
        name,
        tuple(draw(st.lists(st.sampled_from([*PEOPLE, ""]), min_size=1, max_size=4).filter(any))),
        Rotation(unit, draw(st.integers(1, 30)), start),
        tuple(draw(st.lists(restriction, max_size=2))),
        time_off=draw(st.sampled_from(Rule)),
    )


def whole(at: time) -> time:
    """To the minute."""
    return at.replace(second=0, microsecond=0)


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, Interval]:
    """A plan with everything in it, and a window."""
    zone = draw(zones())
    window = draw(windows(zone))
    length = (window.ends_at - window.starts_at) // MINUTE
    offsets = st.tuples(st.integers(-60, length), st.integers(1, length))
    shifts, overrides = list[Shift](), list[Override]()
    for person in draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=2)):
        start, minutes = draw(offsets)
        begins = window.starts_at + start * MINUTE
        shifts.append(Shift(UUID(int=0), "s", person, begins, begins + minutes * MINUTE))
    for age in range(1, draw(st.integers(0, 5)) + 1):
        start, minutes = draw(offsets)
        cover_by, replaced = draw(
            st.tuples(st.sampled_from(PEOPLE), st.none() | st.sampled_from(PEOPLE))
            | st.tuples(st.none(), st.sampled_from(PEOPLE))
        )
        begins, made = window.starts_at + start * MINUTE, datetime(2000, 1, 1, tzinfo=UTC) + age * HOUR
        ends = begins + minutes * MINUTE
        overrides.append(Override(UUID(int=age), "s", cover_by, replaced, begins, ends, made))
    time_off = []
    for person in draw(st.lists(st.sampled_from(PEOPLE), max_size=5)):
        start, minutes = draw(offsets)
        begins = window.starts_at + start * MINUTE
        ends = begins + minutes * MINUTE
        time_off.append(TimeOff(UUID(int=0), person, begins, ends, "", window.starts_at))
    names = draw(st.integers(0, 3))
    made_layers = tuple(draw(layers(f"layer {n}", window.starts_at)) for n in range(names))
    schedule = Schedule("s", "S", zone.key, made_layers, window.starts_at)
    return Plan(schedule, shifts, draw(st.permutations(overrides)), time_off=time_off), window


@settings(max_examples=100, deadline=None)
@given(plans())
def test_cover_is_what_brute_force_finds(drawn: tuple[Plan, Interval]) -> None:
    plan, window = drawn
    stretches = cover(plan, window)
    check(plan, window)
    timeline = Timeline(plan)
    found = marked(segments(stretches), leave(plan.time_off, window))
    assert found == sorted(found, key=lambda s: (s.starts_at, s.responder_id))
    for at, expected in by_minute(plan, window).items():
        people = [people for starts, ends, people in stretches if starts <= at < ends]
        assert len(people) <= 1
        assert {p.responder_id: p.layer or p.source.value for p in (people or [()])[0]} == expected
        assert [person.responder_id for person in timeline.at(at)] == sorted(expected)
        shown = {s.responder_id: s.on_leave for s in found if s.starts_at <= at < s.ends_at}
        assert shown == {person: person in on_leave(plan, at) for person in expected}


def check(plan: Plan, window: Interval) -> None:
    """Stretches and gaps together are the window; segments are ordered, unbroken, and sum up to the stretches."""
    stretches = cover(plan, window)
    parts: Sequence[tuple[datetime, datetime]] = sorted(
        [(starts, ends) for starts, ends, _ in stretches]
        + [(g.starts_at, g.ends_at) for g in gaps(stretches, window)]
    )
    assert parts[0][0] == window.starts_at
    assert parts[-1][1] == window.ends_at
    assert all(ends == starts for (_, ends), (starts, _) in pairwise(parts))
    assert all(starts < ends for starts, ends in parts)
    found = segments(stretches)
    assert found == sorted(found, key=lambda s: (s.starts_at, s.responder_id))
    total = sum(((ends - starts) * len(people) for starts, ends, people in stretches), timedelta())
    assert sum((s.ends_at - s.starts_at for s in found), timedelta()) == total
    last: dict[object, datetime] = {}
    for segment in found:
        key = (segment.responder_id, segment.source, segment.layer)
        assert last.get(key, window.starts_at - HOUR) < segment.starts_at
        last[key] = segment.ends_at


def test_ten_thousand_random_schedules_have_no_hole_and_no_overlap() -> None:
    rng = random.Random(2026)
    for _ in range(10_000):
        zone = ZoneInfo(rng.choice(LIVELY if rng.random() < 0.5 else ZONES))
        start = datetime(1980, 1, 1, tzinfo=UTC) + rng.randrange(25_000_000) * MINUTE
        window = Interval(start, start + rng.randrange(1, 5_000) * MINUTE)
        unit = rng.choice(list(Unit))
        least = 12 if unit is Unit.HOURLY else 1
        anchor = start.replace(tzinfo=None) + rng.randrange(-1_000_000, 1_000_000) * MINUTE
        rotation = Rotation(unit, rng.randrange(least, 40), anchor)
        found = list(turns(rotation, Clocks(zone, window), window))
        assert found[0].starts_at <= window.starts_at < found[0].ends_at
        assert found[-1].starts_at < window.ends_at <= found[-1].ends_at
        assert all(a.ends_at == b.starts_at and a.number < b.number for a, b in pairwise(found))


@pytest.mark.parametrize("zone", LIVELY)
def test_a_timeline_answers_what_a_preview_shows(zone: str) -> None:
    base = Layer("base", ("ada", "bob"), Rotation(Unit.DAILY, 1, datetime.fromisoformat("2011-12-01T02:15")))
    nights = Restriction(frozenset({4, 5}), time(22), time(2, 30))
    top = Layer("top", ("cyd",), Rotation(Unit.WEEKLY, 1, base.rotation.start), (nights,))
    plan = Plan(Schedule("s", "S", zone, (base, top), datetime(2011, 1, 1, tzinfo=UTC)))
    window = Interval(datetime(2011, 12, 20, tzinfo=UTC), datetime(2012, 1, 20, tzinfo=UTC))
    timeline = Timeline(plan)
    for segment in segments(cover(plan, window))[5:-5]:
        for at in (segment.starts_at, segment.ends_at - MINUTE):
            [person] = timeline.at(at)
            assert (person.responder_id, person.source, person.until) == (
                segment.responder_id,
                segment.source,
                segment.ends_at,
            )
