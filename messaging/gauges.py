"""Ages and backlogs, for alarms: each a cheap question of an index, asked every few seconds by every replica."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from prometheus_client import Gauge
from sqlalchemy import text

from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from messaging.epochs import look

POLL = timedelta(seconds=5)

_oldest = Gauge(
    "tocsin_oldest_waiting_seconds",
    "Age of the oldest that waits: unpublished_event, due_timer, unsent_page; 0 when none does.",
    ["service", "what"],
)
_letters = Gauge("tocsin_dead_letters", "Events that could not be handled.", ["service"])
_lag = Gauge("tocsin_consumer_lag_events", "Events not handled yet.", ["consumer", "stream"])

UNPUBLISHED = "select at from outbox where published_at is null order by seq limit 1"
"""When the oldest event happened that the broker does not have."""


class Gauges:
    """What one service tells of what waits in it."""

    def __init__(
        self,
        name: str,
        *,
        db: Database,
        bus: Bus,
        clock: Clock,
        waiting: Mapping[str, str] | None = None,
        streams: Sequence[str] = (),
    ) -> None:
        """`waiting` maps what may wait to a query for the instant since when; `streams` are those that it consumes."""
        self._name = name
        self._db = db
        self._bus = bus
        self._clock = clock
        self._waiting = {"unpublished_event": UNPUBLISHED, **(waiting or {})}
        self._streams = streams

    async def work(self) -> None:
        """Asks everything once. Raises Unavailable while Postgres or the broker is away, and keeps what it knew."""
        async with self._db.connect() as conn:
            for what, query in self._waiting.items():
                at = (await conn.execute(text(query))).scalar_one_or_none()
                age = timedelta() if at is None else self._clock.now() - at
                _oldest.labels(self._name, what).set(max(0.0, age.total_seconds()))
            dead = (await conn.execute(text("select count(*) from dead_letters"))).scalar_one()
            _letters.labels(self._name).set(dead)
        for stream in self._streams:
            epoch = await look(self._bus, stream, self._name)
            _lag.labels(self._name, stream).set(epoch.behind)
