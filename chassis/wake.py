"""Wake-ups between replicas by LISTEN and NOTIFY: a hint that something is due, never the record of it."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import psycopg
import structlog

from chassis.batching import GroupCommit
from chassis.db import ALIVE, Database
from chassis.loop import DueLoop, reason_of

QUIET = 5.0
"""Seconds without a notification after which the connection is asked whether it still stands."""

_log = structlog.get_logger()


class Wakeups:
    """One LISTEN connection per process: channel → callbacks.

    It reconnects for ever, and calls every callback whenever it has connected, because something may have been
    missed. Payloads carry nothing.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._callbacks: dict[str, list[Callable[[], None]]] = {}
        self._notices = GroupCommit[str, None]("notify", self._send, gather=timedelta())

    def on(self, channel: str, callback: Callable[[], None]) -> None:
        """Calls `callback` for every notification on the channel; takes effect when `run` next connects."""
        self._callbacks.setdefault(channel, []).append(callback)

    async def run(self) -> None:
        """Listens for ever; only cancellation ends it."""
        await DueLoop("wakeups", self._listen).run()

    async def notify(self, *channels: str) -> None:
        """Wakes every replica, this one too, outside any transaction.

        Best effort: an error is logged, not raised. Concurrent calls share a round trip.
        """
        await self._notices.submit_many(channels)

    async def _send(self, channels: list[str]) -> Sequence[None]:
        try:
            async with self._db.raw() as conn:
                await conn.execute(
                    "select pg_notify(channel, '') from unnest(%b::text[]) channel", [sorted(set(channels))]
                )
        except Exception as error:
            _log.warning("notify_failed", channels=channels, reason=reason_of(error), error=str(error))
        return [None] * len(channels)

    async def _listen(self) -> None:
        """Ends by an error alone, when the connection is gone."""
        async with await psycopg.AsyncConnection.connect(
            self._db.dsn,
            autocommit=True,
            application_name=f"tocsin-{self._db.name}-listen",
            **ALIVE,
        ) as conn:
            for channel in self._callbacks:
                await conn.execute(psycopg.sql.SQL("listen {}").format(psycopg.sql.Identifier(channel)))
            for channel in self._callbacks:
                self._call(channel)
            while True:
                async for notice in conn.notifies(timeout=QUIET):
                    self._call(notice.channel)
                async with asyncio.timeout(QUIET):
                    await conn.execute("select 1")

    def _call(self, channel: str) -> None:
        for callback in self._callbacks.get(channel, ()):
            callback()
