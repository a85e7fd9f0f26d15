"""Edits of a layer's people: whoever has the turn keeps it, and the others keep their order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.succession import needs, succeed

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
DAILY = Rotation(Unit.DAILY, 1, NOON.replace(tzinfo=None))


def schedule(people: str, rotation: Rotation = DAILY) -> Schedule:
    """A schedule of one layer; each letter is a person, a dot is nobody."""
    names = tuple(letter.replace(".", "") for letter in people)
    return Schedule("web", "Web", "UTC", (Layer("l", names, rotation),), NOON)


def who(of: Schedule, first: int, count: int) -> str:
    """Whose turns these are."""
    return "".join(of.layers[0].person(turn) or "." for turn in range(first, first + count))


@pytest.mark.parametrize(
    ("before", "turn", "after", "expected"),
    [
        ("abc", 4, "abcd", "bcdab"),
        ("abc", 4, "xabc", "bcxab"),
        ("abc", 4, "bc", "bcbcb"),
        ("abc", 4, "ac", "bcaca"),
        ("abc", 4, "ab", "babab"),
        ("abc", 5, "ab", "cabab"),
        ("abc", 4, "cba", "bacba"),
        ("abc", 4, "xy", "bxyxy"),
        ("abc", 4, "b", "bbbbb"),
        ("abac", 6, "abacd", "acdab"),
        ("ab.", 2, "ab.c", ".cab."),
    ],
)
def test_the_turn_that_runs_stays_and_the_others_follow(
    before: str, turn: int, after: str, expected: str
) -> None:
    now = NOON + turn * DAY + DAY / 2
    assert who(succeed(schedule(before), schedule(after), now), turn, 5) == expected


def test_edits_add_up() -> None:
    now = NOON + 4.5 * DAY
    without_b = succeed(schedule("abc"), schedule("ac"), now)
    again = succeed(without_b, schedule("acd"), now)
    assert who(again, 4, 5) == "bcdac"
    assert succeed(again, schedule("acd"), now + 10 * DAY) == again
    assert who(succeed(again, schedule("cd"), now + DAY), 4, 4)[1:] == "cdc"


def test_an_edit_while_somebody_who_has_left_keeps_the_turn() -> None:
    now = NOON + 4.5 * DAY
    alone = succeed(schedule("c"), schedule("d"), now)
    assert who(succeed(alone, schedule("ad"), now), 4, 4) == "cdad"


def test_another_rotation_and_one_that_has_not_begun_are_counted_from_their_start() -> None:
    weekly = replace(DAILY, unit=Unit.WEEKLY)
    assert succeed(schedule("abc"), schedule("ab", weekly), NOON + DAY) == schedule("ab", weekly)
    assert succeed(schedule("abc"), schedule("ab"), NOON - DAY) == schedule("ab")


def test_somebody_who_has_left_is_needed_until_the_handoff() -> None:
    edited = succeed(schedule("abc"), schedule("ac"), NOON + 1.5 * DAY)
    assert needs(edited, "b", NOON + 1.5 * DAY)
    assert not needs(edited, "b", NOON + 2 * DAY)
    assert needs(edited, "a", NOON + 99 * DAY)
