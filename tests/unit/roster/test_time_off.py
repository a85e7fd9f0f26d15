"""Time off: who takes the turns of people on leave, what is flagged, and what edits make of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.roster.domain.coverage import Plan, cover, gaps, marked, segments
from services.roster.domain.interval import Interval
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override, Shift
from services.roster.domain.succession import succeed
from services.roster.domain.time_off import Rule, TimeOff, leave

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DAILY = Rotation(Unit.DAILY, 1, NOON.replace(tzinfo=None))
WINDOW = Interval(NOON, NOON + 4 * DAY)


def layer(people: str, rule: Rule = Rule.SKIP, name: str = "l") -> Layer:
    """A layer of daily turns; each letter is a person, a dot is nobody."""
    return Layer(name, tuple(letter.replace(".", "") for letter in people), DAILY, time_off=rule)


def schedule(*layers: Layer) -> Schedule:
    """A schedule."""
    return Schedule("web", "Web", "UTC", layers, NOON)


def off(who: str, start: float, end: float) -> TimeOff:
    """Leave, in days from noon."""
    return TimeOff(UUID(int=0), who, NOON + start * DAY, NOON + end * DAY, "", NOON)


def shown(plan: Plan) -> str:
    """Who is on call in each quarter of a day, a capital for somebody on leave, a dot for nobody."""
    found = marked(segments(cover(plan, WINDOW)), leave(plan.time_off, WINDOW))
    quarters = [NOON + n * 6 * HOUR for n in range(16)]
    return "".join(
        "".join(
            segment.responder_id.upper() if segment.on_leave else segment.responder_id
            for segment in found
            if segment.starts_at <= at < segment.ends_at
        )
        or "."
        for at in quarters
    )


@pytest.mark.parametrize(
    ("people", "leaves", "expected"),
    [
        ("abc", [], "aaaabbbbccccaaaa"),
        ("abc", [("a", 0, 1)], "bbbbbbbbccccaaaa"),
        ("abc", [("a", 0.25, 0.75)], "abbabbbbccccaaaa"),
        ("abc", [("a", 0, 1), ("b", 0.5, 1)], "bbccbbbbccccaaaa"),
        ("abc", [("a", -5, 9), ("b", -5, 9)], "c" * 16),
        ("abc", [("a", 0, 1), ("b", 0, 1), ("c", 0.5, 1)], "cc..bbbbccccaaaa"),
        ("abc", [("c", 2, 3)], "aaaabbbbaaaaaaaa"),
        ("abc", [("a", 0, 0.5), ("a", 0.25, 0.75)], "bbbabbbbccccaaaa"),
        ("a.b", [("a", 0, 1)], "bbbb....bbbbaaaa"),
        ("a.", [("a", 0, 0.5)], "..aa....aaaa...."),
        ("a", [("a", 1, 2)], "aaaa....aaaaaaaa"),
        ("aab", [("a", 0, 1)], "bbbbaaaabbbbaaaa"),
    ],
)
def test_the_next_who_is_not_on_leave_takes_the_turn(
    people: str, leaves: list[tuple[str, float, float]], expected: str
) -> None:
    plan = Plan(schedule(layer(people)), time_off=[off(*each) for each in leaves])
    assert shown(plan) == expected


def test_a_layer_may_flag_instead() -> None:
    leaves = [off("a", 0.25, 0.75), off("b", -9, 9)]
    assert shown(Plan(schedule(layer("ab", Rule.FLAG)), time_off=leaves)) == "aAAaBBBBaaaaBBBB"


def test_the_layer_below_shows_through_where_everybody_is_on_leave() -> None:
    layers = layer("z", name="base"), layer("a", name="top")
    assert shown(Plan(schedule(*layers), time_off=[off("a", 1, 2)])) == "aaaazzzzaaaaaaaa"
    alone = Plan(schedule(layer("a")), time_off=[off("a", 1, 2)])
    assert gaps(cover(alone, WINDOW), WINDOW) == [Interval(NOON + DAY, NOON + 2 * DAY)]


def test_shifts_and_overrides_are_flagged_alone() -> None:
    shift = Shift(UUID(int=1), "web", "x", NOON, NOON + DAY)
    cover_by = Override(UUID(int=2), "web", "y", "b", NOON + DAY, NOON + 2 * DAY, NOON)
    plan = Plan(schedule(layer("ab")), [shift], [cover_by], time_off=[off("x", 0.5, 9), off("y", 0, 1.5)])
    assert shown(plan) == "xxXXYYyyaaaabbbb"


def test_somebody_who_is_passed_over_is_not_replaced() -> None:
    instead = Override(UUID(int=1), "web", "x", "a", NOON, NOON + DAY, NOON)
    plan = Plan(schedule(layer("ab")), overrides=[instead], time_off=[off("a", 0, 0.5)])
    assert shown(plan) == "bbxxbbbbaaaabbbb"


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("abc", "bbbbbbbbccccaaaa"),
        ("axbc", "bbbbxxxxbbbbcccc"),
        ("ac", "bbbbccccaaaacccc"),
        ("bc", "bbbbbbbbccccbbbb"),
        ("cba", "bbbbccccbbbbaaaa"),
    ],
)
def test_whoever_takes_the_turn_keeps_it_when_the_members_are_edited(after: str, expected: str) -> None:
    leaves = [off("a", 0, 1)]
    edited = succeed(schedule(layer("abc")), schedule(layer(after)), NOON + HOUR, {"a"})
    assert shown(Plan(edited, time_off=leaves)) == expected


def test_a_rule_can_be_changed_without_moving_turns() -> None:
    before = succeed(schedule(layer("abc")), schedule(layer("cab")), NOON + 1.5 * DAY)
    [kept] = before.layers
    [flagging] = succeed(before, schedule(layer("cab", Rule.FLAG)), NOON + 2.5 * DAY).layers
    assert flagging == replace(kept, time_off=Rule.FLAG)
