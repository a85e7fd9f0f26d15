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

    An item that comes while nothing is under way is flushed at once. While a flush is under way items gather; the
    next one starts as soon as about three quarters of the recent concurrency is waiting, after the end of one at the
    latest after `gather`. One such flush is under way at a time, so `flush` sees items in the order of submission.
    Where order does not matter `lanes` may be more: then each waits for its share of the concurrency, so that one
    group is written while the callers of another are served. A batch of 64 items or more goes straight through
    instead, on up to four flushes beside it.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[list[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        limit: int = 256,
        gather: timedelta = timedelta(milliseconds=4),
        lanes: int = 1,
    ) -> None:
        """`flush` gets at most `limit` items and answers each, in order; when it raises, all of them get that."""
        self._flush = flush
        self._limit = limit
        self._gather = gather.total_seconds()
        self._lanes = lanes
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._next: asyncio.TimerHandle | None = None
        self._soon = False
        self._recent = 1.0
        self._under_way: list[int] = []
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
        while self._tasks or self._waiting:
            await (asyncio.wait(self._tasks) if self._tasks else asyncio.sleep(self._gather))

    def _enqueue(self, item: Item) -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        idle = not self._under_way and self._next is None
        if idle or (len(self._under_way) < self._lanes and len(self._waiting) >= self._enough()):
            self._start_in(0)
        return future

    def _enough(self) -> int:
        """How many items are worth a flush while others come."""
        return min(math.ceil(ENOUGH * self._recent / self._lanes), self._limit)

    def _start_in(self, seconds: float) -> None:
        """Has the next flush start then, with all that have come by then; at once means after what runs just now."""
        if self._next is None or not (seconds or self._soon):
            if self._next is not None:
                self._next.cancel()
            self._soon = not seconds
            self._next = asyncio.get_running_loop().call_later(seconds, self._start)

    def _start(self) -> None:
        self._next = None
        if group := self._take():
            self._under_way.append(len(group))
            self._spawn(self._flush_group(group))

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _flush_group(self, group: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers = await self._call([item for item, _ in group])
        present = sum(self._under_way) + len(self._waiting)
        self._recent += MEMORY * (present - self._recent)
        for (_, future), answer in zip(group, answers, strict=True):
            _settle(future, answer)
        self._under_way.remove(len(group))
        if self._waiting:
            self._start_in(0 if len(self._waiting) >= self._enough() else self._gather)

    def _take(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        group: list[tuple[Item, asyncio.Future[Answer]]] = []
        while self._waiting and len(group) < self._limit:
            entry = self._waiting.popleft()
            if not entry[1].cancelled():
                group.append(entry)
        return group

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
