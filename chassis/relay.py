"""The outbox's way to the broker: in order, by one leader per schema, refilling a broker that has lost events."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, NamedTuple, TypeVar

import psycopg
import structlog
from prometheus_client import Counter, Gauge
from psycopg.rows import args_row

from chassis.bus import Bus
from chassis.cloudevents import Message, encode
from chassis.crash import crashpoint
from chassis.db import ALIVE, Database
from chassis.errors import Unavailable
from chassis.loop import DueLoop

TOUCH = timedelta(milliseconds=500)
"""The longest that a leader leaves its session alone; after four times as long Postgres ends it, and its lock."""
GATHER, LONGEST, TURN, INSPECT = 0.002, 0.032, 1.0, 5.0
"""Seconds: between two turns, of a leader that is busy all the time, of one turn, and between two looks at the broker's
stream."""
_log = structlog.get_logger()
_published = Counter("tocsin_relay_published_total", "Events published and marked.", ["stream"])
_refilled = Counter("tocsin_relay_refilled_total", "Events that the broker had lost.", ["stream"])
_oldest = Gauge("tocsin_outbox_oldest_seconds", "Age of the oldest event not yet published.", ["stream"])

_LEAD: LiteralString = """
select pg_try_advisory_lock(hashtext('relay'), hashtext(current_schema())),
    set_config('idle_session_timeout', '2s', false), set_config('tcp_user_timeout', '3s', false),
    set_config('statement_timeout', '0', false),
    set_config('synchronous_commit', 'off', false)  -- a mark that is lost means publishing twice"""
_CLAIM: LiteralString = """
select seq, id::text, type, subject, data, at at time zone 'UTC' as at, trace_parent,
    id::text || coalesce('.' || stream_seq, '') as message_id from outbox
where published_at is null and seq > %b and seq <> all (%b::bigint[]) order by seq limit %b"""
_MARK: LiteralString = """
update outbox set published_at = now(), stream_seq = done.stream_seq
from unnest(%b::bigint[], %b::bigint[]) done (seq, stream_seq)
where outbox.seq = done.seq and at between %b and %b and published_at is null"""
_LOST: LiteralString = """
update outbox set published_at = null, stream_seq = case when stream_seq <= %(last_seq)s then stream_seq end
where published_at is not null and (stream_seq > %(last_seq)s or stream_seq = any (%(removed)s::bigint[])
    or stream_seq < %(first_seq)s and at > now() - interval '6 days')"""

_SEEN: LiteralString = "select last_value from outbox_seq_seq where is_called"
_WRITERS: LiteralString = """
select virtualtransaction from pg_locks
where relation = 'outbox'::regclass and mode = 'RowExclusiveLock' and pid <> pg_backend_pid()"""
_FIRST: LiteralString = "select seq from outbox where published_at is null order by seq limit 1"

Result = TypeVar("Result")


class _Row(NamedTuple):
    seq: int
    id: str
    type: str
    subject: str
    data: bytes
    at: datetime
    trace_parent: str
    message_id: str


class Relay:
    """Publishes the outbox in order, by one leader per schema.

    The leader holds an advisory lock on a session of its own that Postgres ends when it has been left alone for 2 s,
    so another replica takes over within 3 s of its being stopped. It claims and marks on that same session: one that
    has lost the lock can mark nothing. Each message names the one before it, and the broker refuses it when that is
    not the last one it has: nothing overtakes, whatever fails between, and a leader that wakes up late is harmless.
    """

    def __init__(self, db: Database, bus: Bus, *, stream: str, source: str, window: int = 512) -> None:
        """`source` is the events' ce-source, like `/tocsin/roster`."""
        self._db = db
        self._bus = bus
        self._stream = stream
        self._source = source
        self._window = window
        self._loop = DueLoop(f"relay:{stream}", self._turn, poll=TOUCH)
        self._conn: psycopg.AsyncConnection | None = None
        self._leading = False
        self._last_id = ""
        self._problem = ""
        self._trusted = False
        self._connections = 0
        self._floor = self._seen = 0
        self._writers: set[str] = set()
        self._inspected_at = self._turned_at = 0.0
        self._gap = GATHER

    def wake(self) -> None:
        """Tells that something was appended; replicas that do not lead ignore it."""
        if self._leading:
            self._loop.wake()

    async def run(self) -> None:
        """Relays for ever, or stands by; only cancellation ends it."""
        try:
            await self._loop.run()
        finally:
            await self._step_down()

    async def _step_down(self) -> None:
        conn, self._conn, self._leading = self._conn, None, False
        if conn is not None:
            await conn.close()

    async def _turn(self) -> timedelta | None:
        try:
            if self._conn is None:
                self._conn = await psycopg.AsyncConnection.connect(
                    self._db.dsn,
                    autocommit=True,
                    prepare_threshold=0,
                    application_name=f"tocsin-{self._db.name}-relay",
                    **ALIVE,
                )
            return await self._lead(self._conn)
        except BaseException:
            await self._step_down()
            raise

    async def _lead(self, conn: psycopg.AsyncConnection) -> timedelta | None:
        if not self._leading:
            row = await (await conn.execute(_LEAD)).fetchone()
            if row is None or not row[0]:
                return TOUCH / 2
            self._leading, self._trusted, self._problem = True, False, ""
            self._floor, self._seen, self._writers = 0, 0, set()
            _log.info("relay_leads", stream=self._stream)
        await self._rest()
        try:
            await self._inspect(conn)
            return await self._drain(conn)
        except Unavailable as error:  # the broker's: this session's own errors are psycopg's
            await self._wait(conn, error)
            return TOUCH / 2
        finally:
            self._turned_at = time.monotonic()

    async def _rest(self) -> None:
        """What comes alone goes out at once; the more events come without a pause, the more share a turn.

        A turn costs as much as forty events, and whoever triggers next waits for it.
        """
        rest = self._turned_at + self._gap - time.monotonic()
        self._gap = min(2 * self._gap, LONGEST) if rest > 0 else GATHER
        await asyncio.sleep(max(0.0, rest))

    async def _wait(self, conn: psycopg.AsyncConnection, error: Unavailable) -> None:
        self._trusted = False
        if error.reason != self._problem:
            self._problem = error.reason
            _log.warning("relay_waits", stream=self._stream, reason=error.reason, error=error.message)
        for row in await self._claim(conn, [], 1):
            age = datetime.now(UTC) - row.at.replace(tzinfo=UTC)
            _oldest.labels(self._stream).set(age.total_seconds())

    async def _inspect(self, conn: psycopg.AsyncConnection) -> None:
        """Finds what the broker acknowledged and no longer has, and takes it for unpublished again.

        At the start, whenever the broker may have been restarted or something was not acknowledged, and now and then.
        """
        connections, now = self._bus.connections, time.monotonic()
        if self._trusted and connections == self._connections and now - self._inspected_at < INSPECT:
            return
        state = await self._touching(conn, asyncio.create_task(self._bus.stream_state(self._stream)))
        lost = (await conn.execute(_LOST, asdict(state))).rowcount
        if lost:
            _refilled.labels(self._stream).inc(lost)
            _log.error("broker_lost_events", stream=self._stream, reason="STREAM_BEHIND", lost=lost)
        if not self._trusted or connections != self._connections or lost:
            self._last_id = ""
        await self._raise_floor(conn)
        self._trusted, self._connections, self._inspected_at = True, connections, now

    async def _raise_floor(self, conn: psycopg.AsyncConnection) -> None:
        """Skips the numbers that are done with: seen long enough ago that nobody who wrote then still does.

        Without it every claim reads past all that an open transaction elsewhere keeps from being vacuumed.
        """

        async def ask(query: LiteralString) -> list[Any]:
            return [row[0] for row in await (await conn.execute(query)).fetchall()]

        seen, writers, first = await ask(_SEEN), set(await ask(_WRITERS)), await ask(_FIRST)
        if self._writers.isdisjoint(writers):
            self._floor, self._seen, self._writers = self._seen, sum(seen), writers
        self._floor = min([self._floor, *(seq - 1 for seq in first)])

    async def _drain(self, conn: psycopg.AsyncConnection) -> timedelta | None:
        """Publishes window by window; while one is under way, marks the one before and claims the next."""
        ends = time.monotonic() + TURN
        window, done, seqs = await self._claim(conn, [], self._window), list[_Row](), list[int]()
        while window:
            crashpoint("relay.before_publish")
            publishing = asyncio.create_task(self._bus.publish(self._messages(window)))
            try:
                await self._mark(conn, done, seqs)
                more = len(window) == self._window and time.monotonic() < ends
                following = await self._claim(conn, [row.seq for row in window], self._window) if more else []
                seqs = await self._touching(conn, publishing)
            finally:
                publishing.cancel()
            crashpoint("relay.after_publish")
            done = window[: len(seqs)]
            if len(done) < len(window):
                await self._mark(conn, done, seqs)
                raise Unavailable("the broker did not acknowledge all", reason="NOT_ACKNOWLEDGED")
            window = following
        await self._mark(conn, done, seqs)
        self._problem = ""
        _oldest.labels(self._stream).set(0)
        return timedelta() if time.monotonic() >= ends else None

    async def _claim(self, conn: psycopg.AsyncConnection, under_way: list[int], limit: int) -> list[_Row]:
        """The first rows not published, whatever their numbers: a cursor would lose what commits late."""
        async with conn.cursor(binary=True, row_factory=args_row(_Row)) as cursor:
            return await (await cursor.execute(_CLAIM, (self._floor, under_way, limit))).fetchall()

    async def _mark(self, conn: psycopg.AsyncConnection, rows: Sequence[_Row], seqs: list[int]) -> None:
        if rows:
            ats = [row.at for row in rows]
            bounds = (at.replace(tzinfo=UTC) for at in (min(ats), max(ats)))
            await conn.execute(_MARK, ([row.seq for row in rows], seqs, *bounds))
            _published.labels(self._stream).inc(len(rows))

    async def _touching(self, conn: psycopg.AsyncConnection, task: asyncio.Task[Result]) -> Result:
        """What the task gives; the session is touched meanwhile."""
        try:
            while not (await asyncio.wait([task], timeout=TOUCH.total_seconds()))[0]:
                await conn.execute("select 1")
            return task.result()
        finally:
            task.cancel()

    def _messages(self, rows: Sequence[_Row]) -> list[Message]:
        """CloudEvents 1.0 in binary mode, each naming the message that the broker must have last."""
        messages = []
        for row in rows:
            lines = [
                f"ce-specversion: 1.0\r\nce-id: {row.id}\r\nce-source: {self._source}\r\nce-type: {row.type}",
                f"ce-time: {row.at.isoformat()}Z\r\nce-subject: {encode(row.subject)}",
                "ce-datacontenttype: application/protobuf",
            ]
            if row.trace_parent:
                lines.append(f"traceparent: {encode(row.trace_parent)}")
            if self._last_id:
                lines.append(f"Nats-Expected-Last-Msg-Id: {self._last_id}")
            self._last_id = row.message_id
            messages.append(Message(row.message_id, row.type, lines, row.data))
        return messages
