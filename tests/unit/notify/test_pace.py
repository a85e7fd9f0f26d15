"""How many attempts are begun together: few while turns of the loop are slow, many while they are not."""

import time

from services.notify.deliverer.pace import LEAST, MOST, SLOW, Pace


def slow(times: int) -> Pace:
    pace = Pace()
    for _ in range(times):
        pace.judge(SLOW * 2)
    return pace


def test_slow_turns_leave_room_for_few_and_quick_ones_for_many_again() -> None:
    pace = slow(1)
    assert pace.left() == MOST // 2
    pace = slow(20)
    assert pace.left() == LEAST
    for _ in range(20):
        pace.judge(SLOW / 2)
    assert pace.left() == MOST


def test_what_has_gone_on_for_long_is_in_nobodys_way() -> None:
    """Receivers that hang hold no place of those that answer."""
    pace = slow(20)
    for number in range(LEAST):
        pace.begin(number)
    assert pace.left() == 0
    assert pace.left(time.monotonic() + 1.5) == LEAST


def test_it_is_worth_a_look_when_half_has_ended() -> None:
    pace = slow(20)
    for number in range(LEAST):
        pace.begin(number)
    assert not any(pace.end(number) for number in range(4)), "nothing more was there"
    for number in range(4):
        pace.begin(number)
    pace.full()
    looked = [pace.end(number) for number in range(LEAST)]
    assert looked.index(True) == LEAST // 2 - 1
    assert looked.count(True) == 1


async def test_it_looks_for_itself() -> None:
    assert LEAST <= await Pace().room() <= MOST
