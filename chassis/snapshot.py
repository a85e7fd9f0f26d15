"""Values read whole from the database and kept in memory, fresh within a poll or at once when woken."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Generic, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.batching import GroupCommit
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.loop import DueLoop

Value = TypeVar("Value")

_NOTHING = object()


class Snapshot(Generic[Value]):
    """A value read whole from the database and kept in memory.

    While the database answers, `value` is never older than `poll` plus one load, and it is refreshed at once when
    woken; while it does not, the last value stays.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[AsyncConnection], Awaitable[Value]],
        db: Database,
        *,
        poll: timedelta = timedelta(seconds=1),
        version: Callable[[AsyncConnection], Awaitable[object]] | None = None,
    ) -> None:
        """With `version`, a cheap question, a poll or a wake loads only when its answer has changed."""
        self.name = name
        self._load = load
        self._version = version
        self._db = db
        self._value: object = _NOTHING
        self._loaded: object = _NOTHING
        self._loads = GroupCommit[None, None](f"snapshot:{name}", self._load_for, gather=timedelta())
        self._loop = DueLoop(f"snapshot:{name}", self.freshen, poll=poll)

    @property
    def value(self) -> Value:
        """The newest value; raises Unavailable before the first load."""
        if self._value is _NOTHING:
            raise Unavailable(f"{self.name} is not loaded yet", reason="NOT_LOADED")
        return self._value  # type: ignore[return-value]  # only `load` sets it

    async def refresh(self) -> None:
        """Loads now; concurrent calls share a load that started after they were made. Raises what the load raises."""
        await self._loads.submit(None)

    def wake(self) -> None:
        """Asks `run` for a fresh value at once."""
        self._loop.wake()

    async def run(self) -> None:
        """Keeps the value fresh for ever; only cancellation ends it. A failed load keeps the old value."""
        await self._loop.run()

    async def freshen(self) -> None:
        """Loads when the version has changed, or there is none to ask for. Raises what the questions raise."""
        if self._version is not None and self._value is not _NOTHING:
            async with self._db.connect() as conn:
                if await self._version(conn) == self._loaded:
                    return
        await self.refresh()

    async def _load_for(self, callers: list[None]) -> Sequence[None]:
        async with self._db.connect() as conn:
            # The version is read first: what changes in between makes one load too many, never one too few.
            version = await self._version(conn) if self._version is not None else _NOTHING
            self._value = await self._load(conn)
            self._loaded = version
        return callers
