"""What comes into inboxes, for any number of watchers: a wake-up is a hint, the positions are the record."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from chassis.batching import GroupCommit
from chassis.db import Database
from chassis.loop import DueLoop
from services.notify import convert
from services.notify.storage import inbox
from tocsin.notify.v1 import inbox_service_pb2

PIECE = 100
"""Items read at once for one watcher."""

Numbered = tuple[int, inbox_service_pb2.InboxItem]


class Feed:
    """Follows inboxes from a position on.

    Positions of an inbox are committed in order, so a reader that has seen one has seen all below it: nothing is lost
    or doubled, whichever replica wrote it. Watchers that wait for the same read share it.
    """

    def __init__(self, db: Database, *, ended: asyncio.Event) -> None:
        """Streams end when `ended` is set."""
        self._db = db
        self._ended = ended
        self._watchers: dict[str, set[asyncio.Event]] = {}
        self._seen: dict[str, int] = {}
        self._reads = GroupCommit[tuple[str, int], Sequence[Numbered]]("inbox-reads", self._read)
        self._positions = GroupCommit[str, int]("inbox-positions", self._read_positions)
        self._loop = DueLoop("inbox", self._look)

    def wake(self) -> None:
        """Tells that something may have come into some inbox."""
        if self._watchers:
            self._loop.wake()

    async def run(self) -> None:
        """Wakes watchers for ever; only cancellation ends it."""
        await self._loop.run()

    async def position(self, responder_id: str) -> int:
        """How far an inbox has come; 0 when it never had an item."""
        return await self._positions.submit(responder_id)

    async def follow(self, responder_id: str, position: int) -> AsyncIterator[Numbered]:
        """Items after the position, oldest first, with their positions, until the server drains."""
        with self._watching(responder_id) as woken:
            while not self._ended.is_set():
                woken.clear()
                items = await self._reads.submit((responder_id, position))
                for position, item in items:
                    yield position, item
                if len(items) < PIECE:
                    await self._either(woken)  # what is committed after the read is seen by the next look

    async def _either(self, woken: asyncio.Event) -> None:
        waits = [asyncio.create_task(woken.wait()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @contextmanager
    def _watching(self, responder_id: str) -> Iterator[asyncio.Event]:
        woken = asyncio.Event()
        self._watchers.setdefault(responder_id, set()).add(woken)
        try:
            yield woken
        finally:
            watchers = self._watchers[responder_id]
            watchers.discard(woken)
            if not watchers:
                del self._watchers[responder_id]
                self._seen.pop(responder_id, None)

    async def _look(self) -> timedelta | None:
        """Wakes those whose inbox has come further than at the last look."""
        if self._watchers:
            async with self._db.raw() as conn:
                last = await inbox.last_positions(conn, list(self._watchers))
            for responder_id, position in last.items():
                if self._seen.get(responder_id) != position:
                    self._seen[responder_id] = position
                    for woken in self._watchers.get(responder_id, ()):
                        woken.set()
        return None

    async def _read(self, asked: list[tuple[str, int]]) -> Sequence[Sequence[Numbered]]:
        distinct = list(dict.fromkeys(asked))
        async with self._db.raw() as conn:
            found = await inbox.following(conn, distinct, PIECE)
        items = {
            one: [(item.route.position or 0, convert.inbox_item(item)) for item in piece]
            for one, piece in zip(distinct, found, strict=True)
        }
        return [items[one] for one in asked]

    async def _read_positions(self, asked: list[str]) -> Sequence[int]:
        async with self._db.raw() as conn:
            last = await inbox.last_positions(conn, list(set(asked)))
        return [last.get(responder_id, 0) for responder_id in asked]
