"""Group commit: many callers' items written by few statements, each caller getting its own answer or error."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from prometheus_client import Histogram

Item = TypeVar("Item")
Answer = TypeVar("Answer")

THROUGH = 64
"""A batch of so many items does not wait for others."""
ACROSS = 4
"""How many such batches are written at the same time."""
ENOUGH = 0.75
"""The share of the recent concurrency that is waited for."""
MEMORY = 0.25
"""The weight of the newest flush in the recent concurrency."""

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5)

_sizes = Histogram("tocsin_flush_items", "Items a flush.", ["batch"], buckets=SIZES)
_seconds = Histogram("tocsin_flush_seconds", "How long flushes took.", ["batch"], buckets=SECONDS)


class GroupCommit(Generic[Item, Answer]):
    """Hands items to `flush` in groups (DESIGN §7).

    An item that comes while nothing is under way is flushed at once. While a flush is under way items gather; when
    it ends, the next one starts as soon as about three quarters of the recent concurrency is waiting, at the latest
    after `gather`. One such flush is under way at a time, so `flush` sees items in the order of submission. A batch
    of 64 items or more goes straight through instead, on up to four flushes beside it.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        limit: int = 256,
        gather: timedelta = timedelta(milliseconds=4),
    ) -> None:
        """`flush` gets at most `limit` items and answers each, in order; when it raises, all of them get that."""
        self._flush = flush
        self._limit = limit
        self._gather = gather.total_seconds()
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._enough: asyncio.Event = asyncio.Event()
        self._target = 1
        self._recent = 1.0
        self._small: asyncio.Task[None] | None = None
        self._large = asyncio.Semaphore(ACROSS)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._size = _sizes.labels(name)
        self._time = _seconds.labels(name)

    async def submit(self, item: Item) -> Answer:
        """The answer to one item; raises the item's own error.

        A caller that gives up before its item is taken into a flush takes it back; later the item is written all
        the same. Neither touches its neighbours.
        """
        return await self._enqueue(item)

    async def submit_many(self, items: Sequence[Item]) -> list[Answer | Exception]:
        """The answers or errors of a batch, in order; a batch larger than a flush is written piece by piece."""
        if len(items) >= THROUGH:
            return await asyncio.shield(self._spawn(self._through(items)))
        waits = [self._enqueue(item) for item in items]
        return await asyncio.gather(*waits, return_exceptions=True)  # type: ignore[return-value]

    async def drain(self) -> None:
        """Waits until everything submitted so far has been answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _enqueue(self, item: Item) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._small is None:
            self._small = self._spawn(self._flush_waiting())
        elif len(self._waiting) >= self._target:
            self._enough.set()
        return future

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush_waiting(self) -> None:
        """Flushes until nobody waits: the first group at once, the following ones gathered."""
        try:
            while group := self._take():
                answers = await self._call([item for item, _ in group])
                self._recent += MEMORY * (len(group) + len(self._waiting) - self._recent)
                for (_, future), answer in zip(group, answers, strict=True):
                    _settle(future, answer)
                if self._waiting:
                    await self._gathered()
        finally:
            self._small = None

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        group: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(group) < self._limit:
            entry = self._waiting.popleft()
            if not entry[1].cancelled():
                group.append(entry)
        return group

    async def _gathered(self) -> None:
        self._target = min(math.ceil(ENOUGH * self._recent), self._limit)
        if self._gather <= 0 or len(self._waiting) >= self._target:
            return
        self._enough.clear()
        timer = asyncio.get_running_loop().call_later(self._gather, self._enough.set)
        try:
            await self._enough.wait()
        finally:
            timer.cancel()

    async def _through(self, items: Sequence[Item]) -> list[Answer | Exception]:
        answers: list[Answer | Exception] = []
        for start in range(0, len(items), self._limit):
            async with self._large:
                answers += await self._call(list(items[start : start + self._limit]))
        return answers

    async def _call(self, items: list[Item]) -> Sequence[Answer | Exception]:
        """One flush; never raises, and answers exactly as many as it was given."""
        self._size.observe(len(items))
        with self._time.time():
            try:
                answers = await self._flush(items)
            except Exception as error:
                return [error] * len(items)
        if len(answers) != len(items):
            return [RuntimeError(f"a flush of {len(items)} items gave {len(answers)} answers")] * len(items)
        return answers


def _settle(future: asyncio.Future[Answer], answer: Answer | Exception) -> None:
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
