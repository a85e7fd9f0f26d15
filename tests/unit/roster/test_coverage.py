"""What is in force on a schedule: shifts, layers, overrides, and the rules between them."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from uuid import UUID

from services.roster.domain.coverage import Plan, cover, gaps, segments
from services.roster.domain.interval import Interval
from services.roster.domain.restriction import Restriction
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override, Shift

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Interval(MIDNIGHT, MIDNIGHT + timedelta(days=2))


def hour(number: float) -> datetime:
    """So many hours after midnight."""
    return MIDNIGHT + timedelta(hours=number)


def layer(name: str, *people: str, restrictions: Sequence[Restriction] = ()) -> Layer:
    """A layer of daily turns."""
    return Layer(name, people, Rotation(Unit.DAILY, 1, MIDNIGHT.replace(tzinfo=None)), tuple(restrictions))


def shift(who: str, start: float, end: float) -> Shift:
    """An explicit shift."""
    return Shift(UUID(int=0), "web", who, hour(start), hour(end))


def override(age: int, who: str | None, start: float, end: float, instead_of: str | None = None) -> Override:
    """An override; the greater `age` is the newer."""
    made_at = MIDNIGHT + timedelta(seconds=age)
    return Override(UUID(int=age), "web", who, instead_of, hour(start), hour(end), made_at)


def plan(
    *layers: Layer, shifts: Sequence[Shift] = (), overrides: Sequence[Override] = (), zone: str = "UTC"
) -> Plan:
    """A plan of one schedule."""
    return Plan(Schedule("web", "Web", zone, layers, MIDNIGHT), shifts, overrides)


def shown(of: Plan, window: Interval = WINDOW) -> list[tuple[str, float, float, str]]:
    """The segments: who, from which hour to which, and why."""
    return [
        (
            segment.responder_id,
            (segment.starts_at - MIDNIGHT) / timedelta(hours=1),
            (segment.ends_at - MIDNIGHT) / timedelta(hours=1),
            segment.layer or segment.source.value,
        )
        for segment in segments(cover(of, window))
    ]


NIGHTS = Restriction(frozenset(), time(20), time(8))


def test_later_layers_win_and_let_earlier_ones_show_through() -> None:
    of = plan(layer("base", "ada"), layer("nights", "bob", "cyd", restrictions=[NIGHTS]))
    assert shown(of) == [
        ("bob", 0, 8, "nights"),
        ("ada", 8, 20, "base"),
        ("bob", 20, 24, "nights"),
        ("cyd", 24, 32, "nights"),
        ("ada", 32, 44, "base"),
        ("cyd", 44, 48, "nights"),
    ]


def test_a_turn_of_nobody_lets_the_layer_below_show() -> None:
    assert shown(plan(layer("base", "ada"), layer("top", "bob", ""))) == [
        ("bob", 0, 24, "top"),
        ("ada", 24, 48, "base"),
    ]
    assert shown(plan(layer("top", "bob", ""))) == [("bob", 0, 24, "top")]


def test_consecutive_turns_of_one_person_are_one_segment() -> None:
    assert shown(plan(layer("base", "ada", "ada"))) == [("ada", 0, 48, "base")]


def test_explicit_shifts_win_over_layers_with_all_of_their_people() -> None:
    of = plan(layer("base", "ada"), shifts=[shift("bob", 6, 12), shift("cyd", 9, 15), shift("bob", 12, 13)])
    assert shown(of) == [
        ("ada", 0, 6, "base"),
        ("bob", 6, 13, "EXPLICIT"),
        ("cyd", 9, 15, "EXPLICIT"),
        ("ada", 15, 48, "base"),
    ]


def test_gaps_are_where_nobody_is() -> None:
    of = plan(shifts=[shift("ada", -5, 6), shift("bob", 9, 15)])
    found = [Interval(hour(6), hour(9)), Interval(hour(15), hour(48))]
    assert gaps(cover(of, WINDOW), WINDOW) == found
    assert gaps([], WINDOW) == [WINDOW]


def test_an_override_adds_cover_beside_the_others_and_in_gaps() -> None:
    of = plan(shifts=[shift("ada", 0, 6)], overrides=[override(1, "bob", 3, 9)])
    assert shown(of) == [("ada", 0, 6, "EXPLICIT"), ("bob", 3, 9, "OVERRIDE")]


def test_a_replacement_acts_only_while_the_person_is_on_call() -> None:
    of = plan(layer("base", "ada", "bob"), overrides=[override(1, "cyd", 12, 36, instead_of="ada")])
    assert shown(of) == [("ada", 0, 12, "base"), ("cyd", 12, 24, "OVERRIDE"), ("bob", 24, 48, "base")]


def test_of_overlapping_replacements_of_one_person_the_newest_wins() -> None:
    of = plan(
        layer("base", "ada"),
        overrides=[
            override(2, "cyd", 6, 12, instead_of="ada"),
            override(1, "bob", 0, 24, instead_of="ada"),
        ],
    )
    assert shown(of) == [
        ("bob", 0, 6, "OVERRIDE"),
        ("cyd", 6, 12, "OVERRIDE"),
        ("bob", 12, 24, "OVERRIDE"),
        ("ada", 24, 48, "base"),
    ]


def test_a_stand_in_may_be_replaced_by_a_newer_override_alone() -> None:
    chained = [override(1, "bob", 0, 48, instead_of="ada"), override(2, "cyd", 0, 48, instead_of="bob")]
    assert shown(plan(layer("base", "ada"), overrides=chained)) == [("cyd", 0, 48, "OVERRIDE")]
    older = [override(2, "bob", 0, 48, instead_of="ada"), override(1, "cyd", 0, 48, instead_of="bob")]
    assert shown(plan(layer("base", "ada"), overrides=older)) == [("bob", 0, 48, "OVERRIDE")]
    back = [override(1, "bob", 0, 48, instead_of="ada"), override(2, "ada", 0, 48, instead_of="bob")]
    assert shown(plan(layer("base", "ada"), overrides=back)) == [("ada", 0, 48, "OVERRIDE")]


def test_somebody_may_be_taken_off_call() -> None:
    of = plan(layer("base", "ada"), overrides=[override(1, None, 6, 12, instead_of="ada")])
    assert shown(of) == [("ada", 0, 6, "base"), ("ada", 12, 48, "base")]
    assert gaps(cover(of, WINDOW), WINDOW) == [Interval(hour(6), hour(12))]


def test_cover_shows_as_an_override_also_for_somebody_on_call() -> None:
    of = plan(layer("base", "ada"), overrides=[override(1, "ada", 6, 12)])
    assert shown(of) == [("ada", 0, 6, "base"), ("ada", 6, 12, "OVERRIDE"), ("ada", 12, 48, "base")]


def test_two_people_whom_one_person_covers_are_one_entry() -> None:
    of = plan(
        shifts=[shift("ada", 0, 6), shift("bob", 0, 6)],
        overrides=[
            override(1, "cyd", 0, 6, instead_of="ada"),
            override(2, "cyd", 0, 6, instead_of="bob"),
        ],
    )
    assert shown(of) == [("cyd", 0, 6, "OVERRIDE")]


def test_everything_is_clipped_to_the_window() -> None:
    of = plan(
        layer("base", "ada", "bob"),
        shifts=[shift("cyd", -10, 1), shift("cyd", 9, 99)],
        overrides=[override(1, "dan", -20, 200)],
    )
    assert shown(of, Interval(hour(0), hour(10))) == [
        ("cyd", 0, 1, "EXPLICIT"),
        ("dan", 0, 10, "OVERRIDE"),
        ("ada", 1, 9, "base"),
        ("cyd", 9, 10, "EXPLICIT"),
    ]
