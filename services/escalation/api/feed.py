"""What happens to alerts, for any number of watchers: a wake-up is a hint, the outbox is the record."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import NamedTuple

from chassis.batching import GroupCommit
from chassis.db import Database
from chassis.errors import Exhausted
from services.escalation.storage import news
from services.escalation.storage.news import News, Place

PIECE = 200
"""Events read at once for one watcher."""
MOST = 32
"""Streams that a caller may have open at a replica at the same time."""
LOOK = timedelta(milliseconds=250)
"""How often watchers look for what other replicas have written."""


class Told(NamedTuple):
    """Some events, each with the place after it, and the place after all that there was."""

    events: Sequence[tuple[News, Place]]
    place: Place


class Feed:
    """Follows the outbox from a place on.

    A place is a snapshot of the database: what was visible in it has been told. So nothing is lost or doubled, however
    commits overtake one another and whichever replica wrote, and the events of one alert come in their order, because
    each is written under the alert's lock. Watchers at the same place share their reads.
    """

    def __init__(self, db: Database, *, ended: asyncio.Event) -> None:
        """Streams end when `ended` is set."""
        self._db = db
        self._ended = ended
        self._watchers: set[asyncio.Event] = set()
        self._open = Counter[str]()
        self._reads = GroupCommit[Place, Told]("alert-reads", self._read)

    def wake(self) -> None:
        """Tells that something may have happened."""
        for woken in self._watchers:
            woken.set()

    @contextmanager
    def stream(self, caller: str) -> Iterator[None]:
        """A stream of a caller's, while it is open. Raises Exhausted for one more than a caller may have."""
        if self._open[caller] >= MOST:
            raise Exhausted(
                f"{caller!r} has {MOST} streams of alerts open here; close one, or let one serve many",
                reason="TOO_MANY_STREAMS",
            )
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open -= Counter([caller])  # without those that have none

    async def now(self) -> Place:
        """The place after everything that is committed."""
        async with self._db.raw() as conn:
            return await news.now(conn)

    async def follow(self, place: Place) -> AsyncIterator[tuple[News, Place]]:
        """Events after the place, in order, each with the place after it, until the server drains."""
        woken = asyncio.Event()
        self._watchers.add(woken)
        try:
            while not self._ended.is_set():
                woken.clear()
                told = await self._reads.submit(place)
                for event, place in told.events:
                    yield event, place
                place = told.place
                if not told.events:
                    await self._either(woken)
        finally:
            self._watchers.discard(woken)

    async def _either(self, woken: asyncio.Event) -> None:
        waits = [asyncio.create_task(woken.wait()), asyncio.create_task(self._ended.wait())]
        try:
            await asyncio.wait(waits, timeout=LOOK.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _read(self, places: list[Place]) -> Sequence[Told]:
        found: dict[Place, Told] = {}
        async with self._db.raw() as conn:
            now = await news.now(conn)
            for place in dict.fromkeys(places):
                found[place] = Told((), place)
                for stretch, at in ((place, place.at), (place.until_now(now), now.at)):
                    rows = await news.between(conn, stretch, limit=PIECE)
                    events = [(event, stretch.after(event.seq)) for event in rows]
                    rest = events[-1][1] if len(rows) == PIECE else stretch.done(at)
                    found[place] = Told(events, rest)
                    if events:
                        break
        return [found[place] for place in places]
