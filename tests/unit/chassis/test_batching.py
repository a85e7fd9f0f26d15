"""Group commit: at once when idle, together when busy, to each its own answer, and nobody pays for a neighbour."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from chassis.batching import GroupCommit
from tests.fixtures.eventually import PATIENCE

LONG = timedelta(hours=1)


class Store:
    """Answers n with n * 10, refuses what is negative; a flush ends when the test says so, or at once."""

    def __init__(self, *, manual: bool = False) -> None:
        self.flushes: list[list[int]] = []
        self.running = self.most = 0
        self.gate = asyncio.Event()
        self.error: Exception | None = None
        if not manual:
            self.gate.set()

    async def __call__(self, items: list[int]) -> Sequence[int | Exception]:
        self.flushes.append(items)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.running -= 1
        if self.error is not None:
            raise self.error
        return [ValueError(item) if item < 0 else item * 10 for item in items]

    def end_flush(self) -> None:
        """Lets the flushes under way end, and holds back the next ones."""
        self.gate.set()
        self.gate = asyncio.Event()


async def passes(turns: int = 20) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


def start(group: GroupCommit[int, int], *items: int) -> list[asyncio.Task[int]]:
    return [asyncio.create_task(group.submit(item)) for item in items]


async def test_an_idle_group_flushes_at_once() -> None:
    store = Store()
    group = GroupCommit("test", store, gather=LONG)
    assert [await group.submit(n) for n in (1, 2, 3)] == [10, 20, 30]
    assert store.flushes == [[1], [2], [3]]


async def test_what_comes_during_a_flush_goes_together_and_in_order() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, gather=LONG)
    first = start(group, 1)
    await passes()
    others = start(group, *range(2, 10))
    await passes()
    store.end_flush()
    await passes()
    assert store.flushes == [[1], list(range(2, 10))]
    store.end_flush()
    assert await asyncio.gather(*first, *others) == [n * 10 for n in range(1, 10)]
    assert store.most == 1


async def test_it_waits_for_three_quarters_of_the_recent_concurrency() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, gather=LONG)
    for round_ in range(60):  # sixteen callers, time and again: the group learns how many there are
        tasks = start(group, *range(16))
        await passes()
        while store.running:
            store.end_flush()
            await passes()
        assert all(task.done() for task in tasks), round_
    first = start(group, 0)
    await passes()
    some = start(group, *range(1, 9))
    await passes()
    store.end_flush()
    await passes()
    assert not store.running, "eight are not yet enough"
    some += start(group, *range(9, 14))
    await passes()
    assert len(store.flushes[-1]) >= 10
    store.end_flush()
    await asyncio.gather(*first, *some)


async def test_it_waits_no_longer_than_it_may() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, gather=timedelta(milliseconds=20))
    group._recent = 100
    tasks = start(group, 1)
    await passes()
    tasks += start(group, 2)
    store.gate.set()
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.gather(*tasks) == [10, 20]


async def test_each_gets_its_own_error() -> None:
    group = GroupCommit("test", Store())
    answers = await asyncio.gather(*start(group, 1, -2, 3), return_exceptions=True)
    assert (answers[0], answers[2]) == (10, 30)
    assert isinstance(answers[1], ValueError)
    few = await group.submit_many([4, -5])
    assert few[0] == 40
    assert isinstance(few[1], ValueError)


async def test_a_failed_flush_fails_its_items_and_no_others() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store)
    doomed = start(group, 1)
    await passes()
    fine = start(group, 2)
    await passes()
    store.error = RuntimeError("lost")
    store.end_flush()
    await passes()
    store.error = None
    store.gate.set()
    assert await asyncio.gather(*fine) == [20]
    with pytest.raises(RuntimeError, match="lost"):
        await doomed[0]


async def test_a_flush_that_miscounts_is_an_error_for_all() -> None:
    async def short(items: list[int]) -> Sequence[int]:
        return items[1:]

    group = GroupCommit("test", short)
    with pytest.raises(RuntimeError, match="gave 0 answers"):
        await group.submit(1)
    assert all(isinstance(answer, RuntimeError) for answer in await group.submit_many(list(range(100))))


async def test_a_caller_that_gives_up_harms_nobody() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, gather=timedelta())
    under_way = start(group, 1)
    await passes()
    waiting = start(group, 2, 3, 4)
    await passes()
    under_way[0].cancel()
    waiting[1].cancel()
    await passes()
    store.gate.set()
    assert (await waiting[0], await waiting[2]) == (20, 40)
    assert store.flushes == [[1], [2, 4]], "an item not yet taken is taken back"
    assert await group.submit(5) == 50


async def test_a_flush_has_at_most_so_many_items() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, limit=10, gather=timedelta())
    tasks = start(group, *range(35))
    await passes()
    while store.running:
        store.end_flush()
        await passes()
    assert await asyncio.gather(*tasks) == [n * 10 for n in range(35)]
    assert max(map(len, store.flushes)) == 10
    assert [item for flush in store.flushes for item in flush] == list(range(35))


async def test_large_batches_go_straight_through_four_at_a_time() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store, gather=LONG)
    small = start(group, 1)
    await passes()
    large = [asyncio.create_task(group.submit_many(list(range(64)))) for _ in range(6)]
    await passes()
    assert [len(flush) for flush in store.flushes] == [1, 64, 64, 64, 64]
    while store.running:
        store.end_flush()
        await passes()
    assert await small[0] == 10
    assert await asyncio.gather(*large) == [[n * 10 for n in range(64)]] * 6


async def test_a_batch_larger_than_a_flush_is_answered_in_order() -> None:
    store = Store()
    answers = await GroupCommit("test", store).submit_many(list(range(1000)))
    assert answers == [n * 10 for n in range(1000)]
    assert [len(flush) for flush in store.flushes] == [256, 256, 256, 232]
    assert await GroupCommit("test", store).submit_many([]) == []


async def test_a_large_batch_whose_caller_gives_up_is_written_all_the_same() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store)
    caller = asyncio.create_task(group.submit_many(list(range(300))))
    await passes()
    caller.cancel()
    await passes()
    store.gate.set()
    await group.drain()
    assert [len(flush) for flush in store.flushes] == [256, 44]


async def test_drain_waits_for_what_is_under_way() -> None:
    store = Store(manual=True)
    group = GroupCommit("test", store)
    tasks = start(group, 1, 2, 3)
    await passes()
    draining = asyncio.create_task(group.drain())
    await passes()
    assert not draining.done()
    store.gate.set()
    await draining
    await passes(2)
    assert all(task.done() for task in tasks)


@pytest.mark.parametrize("callers", [1, 2, 16, 64])
async def test_busy_callers_share_flushes_fairly(callers: int) -> None:
    served = [0] * callers
    flushes: list[int] = []

    async def slow(items: list[int]) -> Sequence[int]:
        flushes.append(len(items))
        await asyncio.sleep(0.001)
        return items

    group = GroupCommit("test", slow)

    async def caller(number: int) -> None:
        for _ in range(20):
            await group.submit(number)
            served[number] += 1

    await asyncio.gather(*map(caller, range(callers)))
    assert served == [20] * callers
    assert sum(flushes) / len(flushes) >= callers * 0.4, (
        "nearly half of the callers share a flush, at the least"
    )
