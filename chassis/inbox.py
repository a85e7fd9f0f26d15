"""Events in, exactly once in effect: what was seen is recorded in the transaction that acts on it."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Bus, Received
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import TimedOut, Unavailable
from chassis.loop import reason_of

_log = structlog.get_logger()
_events = Counter("tocsin_consumed_events_total", "Events taken from the broker.", ["consumer", "outcome"])

_FRESH = text(
    """insert into inbox (consumer, event_id)
    select :consumer, id from unnest(cast(:ids as uuid[])) id order by id
    on conflict do nothing returning event_id"""
)

_BURY = text(
    """insert into dead_letters (consumer, event_id, type, subject, data, headers, error)
    values (:consumer, :event_id, :type, :subject, :data, cast(:headers as jsonb), :error)
    on conflict do nothing"""
)

_UNBURY = text("delete from dead_letters where consumer = :consumer and event_id = :event_id")


async def fresh(conn: AsyncConnection, consumer: str, ids: Sequence[UUID]) -> set[UUID]:
    """Records the events for this consumer and returns those not seen before, by one statement of the caller's
    transaction. A replica that handles the same event at the same moment is waited for."""
    return set((await conn.execute(_FRESH, {"consumer": consumer, "ids": list(ids)})).scalars())


class Consumer:
    """Consumes events exactly once in effect: inbox and handler in one transaction, acknowledged after the commit.

    A batch that fails is halved until the events at fault stand alone. One that fails twice goes to `dead_letters`
    before the broker is told. Unavailable and TimedOut are never the event's fault: the batch is given back and tried again later.
    """

    def __init__(
        self,
        *,
        db: Database,
        bus: Bus,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        handle: Callable[[AsyncConnection, Sequence[Received]], Awaitable[None]],
        after: Callable[[Sequence[Received]], None] | None = None,
        gather: timedelta = timedelta(),
    ) -> None:
        """`handle` gets the events not seen before, in stream order, on the open transaction; `after` gets the same once
        they are committed: to wake a loop, say. Batches that are not full are `gather` apart."""
        self._db = db
        self._bus = bus
        self._stream = stream
        self._durable = durable
        self.subjects = subjects
        self._handle = handle
        self._after = after
        self._gather = gather
        self.name = f"{durable}/{stream}"

    async def run(self) -> None:
        """Consumes for ever; only cancellation ends it."""
        await self._bus.consume(
            stream=self._stream,
            durable=self._durable,
            subjects=self.subjects,
            handle=self.take,
            gather=self._gather,
        )

    async def replay(self, event: Received) -> None:
        """Handles an event that was buried and takes it from the dead letters, at most once. Raises what `handle` does."""
        async with self._db.begin() as conn:
            gone = await conn.execute(_UNBURY, {"consumer": self.name, "event_id": event.id})
            if gone.rowcount:
                await self._handle(conn, [event])
        _events.labels(self.name, "revived").inc(gone.rowcount)
        if gone.rowcount and self._after is not None:
            self._after([event])

    async def take(self, batch: Sequence[Received], *, again: bool = False) -> None:
        """Handles events, wherever they come from. Raises what `handle` does, unless the event was buried for it."""
        try:
            events = await self._commit(batch)
        except (Unavailable, TimedOut):
            raise
        except Exception as error:
            if half := len(batch) // 2:
                await self.take(batch[:half], again=True)
                await self.take(batch[half:], again=True)
            elif again or batch[0].redelivered:
                await self._bury(batch[0], error)
            else:
                raise
        else:
            crashpoint("consumer.after_commit")
            _events.labels(self.name, "handled").inc(len(events))
            _events.labels(self.name, "repeated").inc(len(batch) - len(events))
            if events and self._after is not None:
                self._after(events)

    async def _commit(self, batch: Sequence[Received]) -> list[Received]:
        async with self._db.begin() as conn:
            new = await fresh(conn, self.name, [event.id for event in batch])
            events = list({event.id: event for event in batch if event.id in new}.values())
            if events:
                await self._handle(conn, events)
        return events

    async def _bury(self, event: Received, error: Exception) -> None:
        letter = {
            "consumer": self.name,
            "event_id": event.id,
            "type": event.type,
            "subject": event.subject,
            "data": event.data,
            "headers": json.dumps(dict(event.headers)),
            "error": f"{type(error).__name__}: {error}"[:4000].replace("\0", ""),
        }
        async with self._db.begin() as conn:
            await fresh(conn, self.name, [event.id])
            await conn.execute(_BURY, letter)
        _events.labels(self.name, "dead").inc()
        _log.error("event_dead", consumer=self.name, event_id=str(event.id), reason=reason_of(error))
