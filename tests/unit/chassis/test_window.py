"""What the broker's answers to some messages of a window tell of the others."""

import pytest

from chassis.cloudevents import Message
from chassis.window import Window

TAKEN, THERE = b'{"stream":"BELL", "seq":%d}', b'{"stream":"BELL", "seq":%d,"duplicate": true}'
REFUSED = (
    b'{"error":{"code":400,"err_code":10070,"description":"wrong last msg ID: x"},"stream":"BELL","seq":0}'
)
CASES = {
    "as far apart as in the window": ({0: TAKEN % 7, 3: TAKEN % 10}, [7, 8, 9, 10]),
    "others are in between": ({0: TAKEN % 7, 3: TAKEN % 12}, [7]),
    "the first was there": ({0: THERE % 7, 3: TAKEN % 10}, [7]),
    "the last was there": ({0: TAKEN % 7, 3: THERE % 10}, [7]),
    "the last was refused": ({0: TAKEN % 7, 3: REFUSED}, [7]),
    "the first was refused": ({0: REFUSED, 3: TAKEN % 10}, []),
    "each by itself": ({0: THERE % 2, 1: THERE % 5, 2: TAKEN % 10, 3: TAKEN % 11}, [2, 5, 10, 11]),
    "each by itself, one refused": ({0: THERE % 2, 1: REFUSED, 2: TAKEN % 10, 3: TAKEN % 11}, [2]),
    "none came": ({}, []),
}


@pytest.mark.parametrize(("answers", "places"), CASES.values(), ids=CASES)
def test_only_what_is_surely_there_counts(answers: dict[int, bytes], places: list[int]) -> None:
    window = Window([Message(str(n), "bell.rung", [], b"") for n in range(4)], answers or {0, 3})
    for place, answer in answers.items():
        window.answer(place, answer)
    assert window.acknowledged() == places
    assert bool(window.problem) == (REFUSED in answers.values())
    assert window.done.is_set() == bool(answers)
