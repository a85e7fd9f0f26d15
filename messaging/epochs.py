"""Streams that were lost, put back or made anew, noticed by who consumes them, and healed by who owns their events."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from prometheus_client import Counter
from sqlalchemy import text

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from chassis.process import Loop

POLL = timedelta(seconds=5)
MARGIN = timedelta(minutes=1)
"""How far before the last moment at which nothing was missing events are asked for again."""

_log = structlog.get_logger()
_lost = Counter("tocsin_streams_lost_total", "Streams found lost, put back or made anew.", ["stream"])

_KNOWN = text("select created, last_seq, complete_at from stream_epochs where stream = :stream")
_SEEN = text(
    """insert into stream_epochs as known (stream, created, last_seq, complete_at)
    values (:stream, :created, :last_seq, :complete_at)
    on conflict (stream) do update set created = excluded.created, last_seq = excluded.last_seq,
        complete_at = excluded.complete_at
    where (known.created, known.last_seq) = (cast(:known as text), cast(:known_seq as bigint))"""
)
"""Unless another replica has looked meanwhile: what it saw is as good, and its look at a lost stream is not undone."""
TABLE = """create table stream_epochs (
    stream text primary key, created text not null, last_seq bigint not null, complete_at timestamptz not null)"""
"""For the migration of a service that watches."""

Replay = Callable[[datetime], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """When a stream was made, how far it has come, and how many of its messages a consumer has not handled yet."""

    created: str
    last_seq: int
    behind: int


async def look(bus: Bus, stream: str, durable: str) -> Epoch:
    """How a stream and a durable consumer of it stand. Raises Unavailable, also when one of them is missing."""
    info = await bus.ask(f"STREAM.INFO.{stream}", {})
    consumer = await bus.ask(f"CONSUMER.INFO.{stream}.{durable}", {})
    behind = consumer["num_pending"] + consumer["num_ack_pending"]
    return Epoch(info["created"], info["state"]["last_seq"], behind)


async def restart(bus: Bus, stream: str, durable: str) -> None:
    """Has a durable consumer begin with the first message again. Raises Unavailable."""
    await bus.ask(f"CONSUMER.DELETE.{stream}.{durable}", {})


class Epochs:
    """Looks at the streams that a service consumes every few seconds, each by itself; any number of replicas may.

    A stream is known by when it was made and by how far it has come. One that was made anew, or has gone back, may
    have lost events that were never consumed: the owner is asked to publish what happened since the last moment at
    which everything was. What was consumed already is dropped by its id.
    """

    def __init__(
        self, *, db: Database, bus: Bus, clock: Clock, durable: str, owners: Mapping[str, Replay]
    ) -> None:
        """`owners` maps streams to what asks their owner for the events since an instant; it answers how many."""
        self._db = db
        self._bus = bus
        self._clock = clock
        self._durable = durable
        self._owners = owners

    @property
    def loops(self) -> list[Loop]:
        """What looks at them for ever, each at one: an owner that is away holds up its own stream alone.

        Loops of their own and no task group, which cancels only once: nats-py may swallow it.
        """
        return [DueLoop("epochs", partial(self.look_at, stream), poll=POLL).run for stream in self._owners]

    async def look_at(self, stream: str) -> None:
        """Looks at a stream once. Raises Unavailable while the broker or the owner is away: the next look comes."""
        # The instant comes first: what is published while we look is not taken for consumed.
        now = self._clock.now()
        epoch = await look(self._bus, stream, self._durable)
        async with self._db.connect() as conn:
            known = (await conn.execute(_KNOWN, {"stream": stream})).one_or_none()
        complete_at = now if known is None or not epoch.behind else known.complete_at
        if known is not None and (known.created != epoch.created or known.last_seq > epoch.last_seq):
            complete_at = await self._replayed(stream, epoch, known)
        seen = {"created": epoch.created, "last_seq": epoch.last_seq, "complete_at": complete_at}
        before = (None, None) if known is None else (known.created, known.last_seq)
        said = {"stream": stream, "known": before[0], "known_seq": before[1], **seen}
        async with self._db.begin() as conn:
            await conn.execute(_SEEN, said)

    async def _replayed(self, stream: str, epoch: Epoch, known: Any) -> datetime:
        """Has what may be missing published again; the last moment at which nothing was missing."""
        since: datetime = known.complete_at
        events = await self._owners[stream](since - MARGIN)
        _lost.labels(stream).inc()
        _log.error(
            "stream_lost",
            stream=stream,
            reason="MADE_ANEW" if known.created != epoch.created else "WENT_BACK",
            since=str(since),
            replayed=events,
        )
        return since
