"""Round robin: everybody has a turn, however the people change."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from services.escalation.domain.turns import REMEMBERED, Turn, next_in_turn

START = Turn("p", 1)


def chosen(*pools: str) -> str:
    """Who is told, one after the other, when these people are to choose from."""
    turn, found = START, ""
    for pool in pools:
        person, turn = next_in_turn(list(pool), turn)
        found += person
    return found


def test_one_after_the_other() -> None:
    """In their order, again and again."""
    assert chosen("abc", "abc", "abc", "abc", "abc") == "abcab"


def test_people_who_come_and_go() -> None:
    """Who comes is next; who comes back waits no longer than those who stayed."""
    assert chosen("ab", "ab", "abc", "abc") == "abca"
    assert chosen("abc", "bc", "bc", "abc") == "abca"


@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=60))
def test_nobody_twice_before_everybody_who_stayed(pools: list[set[str]]) -> None:
    """Between two turns of a person everybody who was there all the time had one."""
    turn, told = START, list[str]()
    for pool in pools:
        person, turn = next_in_turn(sorted(pool), turn)
        if person in told:
            since = len(told) - 1 - told[::-1].index(person)
            stayed = set.intersection(*pools[since + 1 : len(told) + 1])
            assert stayed - {person} <= set(told[since + 1 :])
        told.append(person)


@given(st.integers(1, 7), st.integers(1, 200))
def test_it_is_fair(people: int, times: int) -> None:
    """Nobody is told more than once more often than another."""
    pool = [f"p{n}" for n in range(people)]
    turn, counts = START, Counter[str](dict.fromkeys(pool, 0))
    for _ in range(times):
        person, turn = next_in_turn(pool, turn)
        counts[person] += 1
    assert max(counts.values()) - min(counts.values()) <= 1


def test_only_so_many_are_remembered() -> None:
    """Those told last."""
    turn = START
    for number in range(REMEMBERED + 5):
        _, turn = next_in_turn([f"p{number}"], turn)
    assert len(turn.told) == REMEMBERED
    assert turn.told[-1] == f"p{REMEMBERED + 4}"
