"""The broker: CloudEvents over NATS JetStream, published in order, pulled in batches, for ever reconnecting."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter

from chassis.cloudevents import Message, Received
from chassis.errors import Unavailable
from chassis.loop import reason_of
from chassis.pull import FIRST_RETRY, LAST_RETRY, SECOND, Handle, Pull
from chassis.window import Window

__all__ = ["Bus", "Received", "StreamState"]

MOST_TOLD = 100
"""Errors of one connection that are remembered, so that each is logged once."""
ANSWER, ACK_WAIT, KEEP = 5.0, 10, 7 * 86_400
"""Seconds: for the broker to answer, until what was not acknowledged comes again, and for which streams keep events."""
RECONNECT = 0.25
YIELD = 64
"""Messages after which publishing lets the rest of the process run."""
BUFFER = 64 << 20
"""Bytes that nats-py may hold back: more than a window, or publishing would block inside it."""

_DENIED = "permissions violation for publish"
_STREAM_DIFFERS, _STREAM_MISSING = "JETSTREAM_10058", "JETSTREAM_10059"
_log = structlog.get_logger()
_errors = Counter("tocsin_bus_errors_total", "Errors of the broker and its connection.", ["reason"])


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream holds: the sequences from `first_seq` to `last_seq` without those `removed`."""

    first_seq: int
    last_seq: int
    removed: list[int]


class Bus:
    """One connection to the broker, which may be away at any time: what needs it waits or says so."""

    def __init__(self, url: str, *, name: str) -> None:
        """`name` is the NATS user; its answers come to `_INBOX_<name>`."""
        self.name = name
        self.connections = 0
        self._url = url
        self._inbox = f"_INBOX_{name}"
        self._acks = f"{self._inbox}.acks{os.urandom(6).hex()}"
        self._client = Client()
        self._up, self._closed = asyncio.Event(), asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._streams: dict[str, dict[str, Any]] = {}
        self._pulls: dict[str, Pull] = {}
        self._windows: dict[int, Window] = {}
        self._asking: set[asyncio.Timeout] = set()
        self._numbers = count()
        self._told = set[tuple[str, str]]()

    @property
    def connected(self) -> bool:
        """Whether the broker is there, as far as is known."""
        return self._up.is_set()

    async def connect(self) -> None:
        """Connects in the background; returns when connected or after a second, whichever is first."""
        self._keeper = asyncio.create_task(self._keep())
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([up], timeout=1)
        up.cancel()

    async def close(self) -> None:
        """Sends what is buffered and closes the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            await self._client.close()

    async def ensure_stream(
        self, name: str, subjects: Sequence[str], *, duplicate_window: timedelta = timedelta(minutes=2)
    ) -> None:
        """Sees to it that the stream exists: now or when the broker is there, and again whenever it was lost.

        It keeps events for seven days in files, and drops a message id that comes again within `duplicate_window`.
        """
        self._streams[name] = {
            "name": name,
            "subjects": list(subjects),
            "retention": "limits",
            "storage": "file",
            "num_replicas": 1,
            "max_age": KEEP * SECOND,
            "duplicate_window": int(duplicate_window.total_seconds() * SECOND),
        }
        if self.connected:
            await self._ensure_streams()

    async def stream_state(self, name: str) -> StreamState:
        """What the stream holds, made anew when it was lost. Raises Unavailable."""
        try:
            info = await self.ask(f"STREAM.INFO.{name}", {"deleted_details": True})
        except Unavailable as error:
            if error.reason != _STREAM_MISSING:
                raise
            await self._ensure_streams()
            info = await self.ask(f"STREAM.INFO.{name}", {"deleted_details": True})
        state = info["state"]
        return StreamState(state["first_seq"], state["last_seq"], state.get("deleted") or [])

    async def publish(self, messages: Sequence[Message]) -> list[int]:
        """The places in the stream of the messages that it has, from the front.

        Each message names the one before it, so what the broker answers within 5 s to the first and the last tells of
        all. Where it does not, because one has failed or was there already, all are sent again and each is answered
        for: the broker drops those that it has. Fewer than given when one was not acknowledged; the reason is logged.
        """
        if not self.connected:
            return []
        window = await self._send(Window(messages, {0, len(messages) - 1}))
        if not window.left and len(window.acknowledged()) < len(messages):
            window = await self._send(Window(messages, range(len(messages))))
        if window.problem:
            self._report("NOT_ACKNOWLEDGED", window.problem)
        return window.acknowledged()

    async def _send(self, window: Window) -> Window:
        """Sends all of a window before it waits for the first answer; what went wrong is the window's problem."""
        client, number = self._client, next(self._numbers)
        self._windows[number] = window
        try:
            async with asyncio.timeout(ANSWER):
                for place, message in enumerate(window.messages):
                    reply = f"{self._acks}.{number}.{place}" if place in window.asked else ""
                    await client.publish(message.subject, message.data, reply, message.headers)
                    if place % YIELD == 0:
                        await asyncio.sleep(0)
                await window.done.wait()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            window.problem = window.problem or reason_of(error)
        finally:
            del self._windows[number]
        return window

    async def consume(
        self,
        *,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        handle: Handle,
        batch: int = 1000,
        gather: timedelta = timedelta(),
    ) -> None:
        """Hands the stream's messages to `handle` in batches, in order, for ever; only cancellation ends it.

        Batches that are not full are `gather` apart: what comes alone is handled at once, what follows it waits for others.
        With it the next batch is on its way while one is handled.
        A batch is acknowledged when `handle` has returned. When it raises, the batch is given back and comes again
        after 0.1 s, doubling up to 2 s. The durable consumer is made where it is missing, from the first message on.
        """
        config = {
            "name": durable,
            "durable_name": durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT * SECOND,
            "max_ack_pending": 4 * batch,
            "filter_subjects": list(subjects),
        }
        retry = FIRST_RETRY
        while True:
            await self._up.wait()
            try:
                await self.ask(
                    f"CONSUMER.CREATE.{stream}.{durable}", {"stream_name": stream, "config": config}
                )
                retry = FIRST_RETRY
                pull = self._pulls[durable + stream] = Pull(
                    self._client, f"{stream}.{durable}", self._inbox, handle, batch, gather
                )
                await pull.run()
            except (Unavailable, nats.errors.Error, OSError) as error:
                self._report(reason_of(error), f"{durable} of {stream}: {error}")
            await asyncio.sleep(retry)
            retry = min(retry * 2, LAST_RETRY)

    async def _keep(self) -> None:
        """Connects, and again with a new client whenever nats-py gives one up, for a changed password say."""
        while True:
            self._closed.clear()
            client = self._client = Client()
            try:
                await client.connect(
                    self._url,
                    name=f"tocsin-{self.name}",
                    inbox_prefix=self._inbox,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnected,
                    reconnected_cb=self._on_connected,
                    closed_cb=self._on_closed,
                    connect_timeout=2,
                    reconnect_time_wait=RECONNECT,  # type: ignore[arg-type]  # only ever slept for
                    max_reconnect_attempts=-1,
                    ping_interval=4,
                    max_outstanding_pings=2,
                    pending_size=BUFFER,
                    skip_subject_validation=True,
                )
                await client.subscribe(f"{self._acks}.*.*", cb=self._on_ack)
                await self._on_connected()
                await self._closed.wait()
            except (nats.errors.Error, OSError) as error:
                await self._on_error(error)
            await self._on_disconnected()
            await asyncio.sleep(RECONNECT)

    async def caught_up(self, *, stream: str, durable: str) -> None:
        """Waits until what has arrived here of a stream by now is handled, or given back: bound the time to wait."""
        if pull := self._pulls.get(durable + stream):
            await pull.caught_up()

    async def _on_connected(self) -> None:
        self.connections += 1
        self._told.clear()
        self._up.set()
        _log.info("broker_connected", connections=self.connections)
        try:
            await self._ensure_streams()
        except Unavailable as error:
            self._report(error.reason, error.message)

    async def _on_disconnected(self) -> None:
        self._up.clear()
        for pull in self._pulls.values():
            pull.end("the broker is away")
        for until in self._asking:
            if not until.expired():
                until.reschedule(0)  # who was asked is gone: no answer comes

    async def _on_closed(self) -> None:
        self._closed.set()

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if _DENIED in text:
            self._report("DENIED", text)
            for window in self._windows.values():
                window.denied(text)
        else:
            self._report(reason_of(error), text)

    def _report(self, reason: str, text: str) -> None:
        """Counts an error, and logs it once per connection."""
        _errors.labels(reason).inc()
        if (reason, text) not in self._told:
            if len(self._told) >= MOST_TOLD:
                self._told.clear()
            self._told.add((reason, text))
            _log.error("broker_error", reason=reason, error=text)

    async def _on_ack(self, msg: Msg) -> None:
        _, number, place = msg.subject.rsplit(".", 2)
        if window := self._windows.get(int(number)):
            window.answer(int(place), msg.data)

    async def _ensure_streams(self) -> None:
        for name, config in self._streams.items():
            try:
                await self.ask(f"STREAM.CREATE.{name}", config)
            except Unavailable as error:
                if error.reason != _STREAM_DIFFERS:
                    raise
                await self.ask(f"STREAM.UPDATE.{name}", config)

    async def ask(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request to JetStream's API, like `STREAM.INFO.<name>`; raises Unavailable, with JetStream's own code as the reason where it gives one."""
        if not self.connected:
            raise Unavailable("the broker is away", reason="BROKER_AWAY")
        request = json.dumps(body).encode()
        until = asyncio.timeout(ANSWER)
        self._asking.add(until)
        try:
            async with until:
                reply = await self._client.request(f"$JS.API.{verb}", request, timeout=ANSWER)
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"{verb}: {reason_of(error)}", reason="BROKER_AWAY") from error
        finally:
            self._asking.discard(until)
        answer: dict[str, Any] = json.loads(reply.data)
        if problem := answer.get("error"):
            raise Unavailable(f"{verb}: {problem['description']}", reason=f"JETSTREAM_{problem['err_code']}")
        return answer
