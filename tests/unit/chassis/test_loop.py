"""A loop runs when woken, when due and at least every poll, and survives what its work does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from chassis.errors import Unavailable
from chassis.loop import DueLoop, reason_of
from tests.fixtures.eventually import eventually

LONG = timedelta(hours=1)
SHORT = timedelta(milliseconds=60)


class Work:
    """Work that records when it ran and answers what it is told."""

    def __init__(self, due_in: timedelta | None = None) -> None:
        self.runs: list[float] = []
        self.due_in = due_in
        self.error: Exception | None = None
        self.during: Callable[[], Awaitable[None]] | None = None

    async def __call__(self) -> timedelta | None:
        self.runs.append(asyncio.get_running_loop().time())
        if self.during is not None:
            await self.during()
        if self.error is not None:
            raise self.error
        return self.due_in

    def gaps(self) -> list[float]:
        return [later - earlier for earlier, later in zip(self.runs, self.runs[1:], strict=False)]


@asynccontextmanager
async def running(loop: DueLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(loop.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def passes(turns: int = 20) -> None:
    """Lets everything that can run, run."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def test_wakes_coalesce() -> None:
    work = Work()
    loop = DueLoop("bell", work, poll=LONG)
    async with running(loop):
        await passes()
        assert len(work.runs) == 1
        for _ in range(100):
            loop.wake()
        await passes()
        assert len(work.runs) == 2


async def test_a_wake_during_work_makes_it_run_once_more() -> None:
    work = Work()
    loop = DueLoop("bell", work, poll=LONG)

    async def wake_twice() -> None:
        work.during = None
        loop.wake()
        loop.wake()

    work.during = wake_twice
    async with running(loop):
        await passes()
    assert len(work.runs) == 2


async def test_a_wake_before_the_start_is_not_lost_nor_doubled() -> None:
    work = Work()
    loop = DueLoop("bell", work, poll=LONG)
    loop.wake()
    async with running(loop):
        await passes()
    assert len(work.runs) == 1


async def test_it_runs_when_the_next_is_due() -> None:
    work = Work(timedelta(milliseconds=30))
    async with running(DueLoop("bell", work, poll=LONG)):
        await eventually(lambda: len(work.runs) >= 4)
    assert all(gap >= 0.029 for gap in work.gaps())


async def test_it_runs_at_least_every_poll() -> None:
    for due_in in (None, LONG):
        work = Work(due_in)
        async with running(DueLoop("bell", work, poll=timedelta(milliseconds=30))):
            await eventually(lambda: len(work.runs) >= 3)  # noqa: B023


async def test_it_runs_again_at_once_and_lets_others_run() -> None:
    work = Work(timedelta())
    async with running(DueLoop("bell", work, poll=LONG)):
        await eventually(lambda: len(work.runs) > 100)


@pytest.mark.parametrize("error", [ValueError("no"), Unavailable("away", reason="DATABASE_AWAY")])
async def test_a_failure_is_counted_by_its_reason_and_retried_ever_more_slowly(error: Exception) -> None:
    def counted() -> float:
        labels = {"loop": "failing", "reason": reason_of(error)}
        return REGISTRY.get_sample_value("tocsin_loop_failures_total", labels) or 0

    work, before = Work(LONG), counted()
    work.error = error
    loop = DueLoop("failing", work, poll=SHORT)
    async with running(loop):
        await eventually(
            lambda: len(work.runs) >= 12
        )  # were the pause not bounded, it would be a minute by now
        first, *others = work.gaps()
        assert first >= 0.049
        assert min(others) >= 0.059
        assert counted() - before >= 11
        work.error, runs = None, len(work.runs)
        await eventually(lambda: len(work.runs) > runs)


async def test_wakes_do_not_cut_a_retry_short() -> None:
    work = Work()
    work.error = ValueError("no")
    loop = DueLoop("failing", work, poll=LONG)
    async with running(loop):
        await passes()
        loop.wake()
        await passes()
        assert len(work.runs) == 1


async def test_cancellation_ends_it_even_during_work() -> None:
    work, begun = Work(), asyncio.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.Event().wait()

    work.during = hang
    task = asyncio.create_task(DueLoop("bell", work).run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
