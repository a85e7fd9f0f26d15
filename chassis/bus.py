"""The broker: CloudEvents over NATS JetStream, published in order and pulled in batches, for ever reconnecting."""

import asyncio
import json
import os
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote, unquote
from uuid import NAMESPACE_URL, UUID, uuid5

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from prometheus_client import Counter

from chassis.errors import Unavailable
from chassis.loop import reason_of

ACK_TIMEOUT = 5.0
"""Seconds in which the broker must have acknowledged a whole window."""
PULL = 2.0
"""Seconds for which a pull request stands: what a restarted broker forgets is asked for again after them."""
ACK_WAIT = timedelta(seconds=30)
FIRST_RETRY, LAST_RETRY = 0.1, 5.0
YIELD = 64
"""Messages after which publishing lets the rest of the process run."""
PENDING = 64 << 20
"""Bytes nats-py may buffer: more than a window, so that `publish` never blocks inside it."""

DENIED = "permissions violation for publish"
NO_MESSAGES, EXPIRED, HEARTBEAT = "404", "408", "100"
STREAM_MISSING, STREAM_DIFFERS = "JETSTREAM_10059", "JETSTREAM_10058"

_SAFE = "!#$&'()*+,/:;<=>?@[\\]^`{|}~"
_SEQ = re.compile(rb'\{"stream":"[^"]+",\s*"seq":(\d+)')
_PLAIN = re.compile(r"[!#$&-~]*")

_log = structlog.get_logger()
_errors = Counter("tocsin_bus_errors_total", "Errors of the broker connection.", ["reason"])


def encode(value: str) -> str:
    """A header value as CloudEvents' NATS binding has it: space, quote, percent and non-ASCII percent-encoded."""
    return value if _PLAIN.fullmatch(value) else quote(value, safe=_SAFE)


class _Block(str):
    """Header lines that are ready to be sent.

    nats-py checks and strips each header of a message anew, which costs more than all the rest of publishing it
    (10,000/s against 20,000/s for the whole relay). As the value of the first header a block passes through as it is.
    """

    __slots__ = ()

    def strip(self, chars: str | None = None, /) -> "_Block":
        return self

    def translate(self, table: object, /) -> "_Block":
        return self


@dataclass(frozen=True, slots=True)
class Message:
    """What is published; `lines` are further headers, encoded, one `name: value` each."""

    id: str
    subject: str
    lines: Sequence[str]
    data: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """An event as it arrived; `redelivered` counts the deliveries before this one."""

    id: UUID
    type: str
    subject: str
    data: bytes
    at: datetime | None
    headers: Mapping[str, str]
    redelivered: int
    stream_seq: int

    @property
    def trace_parent(self) -> str:
        """The W3C trace that the event belongs to, or nothing."""
        return self.headers.get("traceparent", "")


def read(msg: Msg) -> Received:
    """Reads the CloudEvents headers of a message.

    What is not a CloudEvent is read too, so that it can be buried with its neighbours unharmed: its id is made from
    its place in the stream, its type is its NATS subject.
    """
    headers = {name: unquote(value).replace("\0", "\ufffd") for name, value in (msg.headers or {}).items()}
    _, _, stream, _, delivered, seq, *_ = msg.reply.split(".")
    try:
        event_id = UUID(headers["ce-id"])
    except (KeyError, ValueError):
        event_id = uuid5(NAMESPACE_URL, f"{stream}/{seq}")
    try:
        at = datetime.fromisoformat(headers["ce-time"])
    except (KeyError, ValueError):
        at = None
    return Received(
        id=event_id,
        type=headers.get("ce-type", msg.subject),
        subject=headers.get("ce-subject", ""),
        data=msg.data,
        at=at,
        headers=headers,
        redelivered=int(delivered) - 1,
        stream_seq=int(seq),
    )


@dataclass(frozen=True, slots=True)
class StreamState:
    """How far a stream has come: `epoch` changes when it is made anew, `removed` are the holes in it."""

    epoch: str
    last_seq: int
    removed: list[int]


class _Window:
    """Messages under way and what the broker has answered to each: a stream sequence, or an error."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.seqs: list[int | None] = [None] * len(messages)
        self.subjects = {message.subject for message in messages}
        self.left = len(messages)
        self.problem = ""
        self.done = asyncio.Event()

    def answer(self, place: int, seq: int | None, problem: str = "") -> None:
        self.seqs[place] = seq
        self.problem = self.problem or problem
        self.left -= 1
        if not self.left:
            self.done.set()

    def denied(self, text: str) -> None:
        """Ends the waiting when the text, as the broker sent it, denies a subject of this window."""
        if any(f'"{subject.lower()}"' in text for subject in self.subjects):
            self.problem = text
            self.done.set()

    def acknowledged(self) -> list[int]:
        """The sequences from the front, up to the first message without one."""
        end = self.seqs.index(None) if None in self.seqs else len(self.seqs)
        return [seq for seq in self.seqs[:end] if seq is not None]


class Bus:
    """One connection to the broker, which may be away at any time: nothing here fails for it but what needs it."""

    def __init__(self, url: str, *, name: str) -> None:
        """`name` is the NATS user: answers come to `_INBOX_<name>`."""
        self.name = name
        self.connections = 0
        self._url = url
        self._client = Client()
        self._up = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._streams: dict[str, dict[str, Any]] = {}
        self._acks = f"_INBOX_{name}.acks{os.urandom(6).hex()}"
        self._windows: dict[int, _Window] = {}
        self._numbers = count()
        self._last_error = ("", 0.0)

    async def connect(self) -> None:
        """Connects in the background, and returns when connected or after a second, whichever is first."""
        self._keeper = asyncio.create_task(self._keep())
        up = asyncio.create_task(self._up.wait())
        await asyncio.wait([up, self._keeper], timeout=1, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()

    async def close(self) -> None:
        """Sends what is buffered and closes the connection."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        await self._client.close()

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached as far as is known."""
        return self._up.is_set() and self._client.is_connected

    async def ensure_stream(
        self, name: str, subjects: Sequence[str], *, duplicate_window: timedelta = timedelta(minutes=2)
    ) -> None:
        """Sees to it that the stream exists, now or as soon as the broker answers, and again whenever it is lost.

        File storage, kept for seven days; repeats of a message id are dropped within `duplicate_window`.
        """
        self._streams[name] = {
            "name": name,
            "subjects": list(subjects),
            "retention": "limits",
            "storage": "file",
            "num_replicas": 1,
            "max_age": 7 * 86_400 * 10**9,
            "duplicate_window": int(duplicate_window.total_seconds() * 10**9),
        }
        if self.connected:
            await self._ensure_streams()

    async def stream_state(self, name: str) -> StreamState:
        """How far the stream has come; makes it first when it is lost. Raises Unavailable."""
        try:
            info = await self._api(f"STREAM.INFO.{name}", {"deleted_details": True})
        except Unavailable as error:
            if error.reason != STREAM_MISSING:
                raise
            await self._ensure_streams()
            info = await self._api(f"STREAM.INFO.{name}", {"deleted_details": True})
        state = info["state"]
        return StreamState(info["created"], state["last_seq"], state.get("deleted") or [])

    async def publish(self, messages: Sequence[Message]) -> list[int]:
        """The stream sequences of the messages acknowledged, from the front: fewer than given when one was not.

        All acknowledgements come to one inbox within 5 s. Never raises for the broker: the reason is logged.
        """
        if not self.connected:
            return []
        client, number = self._client, next(self._numbers)
        window = self._windows[number] = _Window(messages)
        try:
            async with asyncio.timeout(ACK_TIMEOUT):
                for place, message in enumerate(messages):
                    reply = f"{self._acks}.{number}.{place}"
                    headers = {"Nats-Msg-Id": _Block("\r\n".join((message.id, *message.lines)))}
                    await client.publish(message.subject, message.data, reply, headers)
                    if place % YIELD == 0:
                        await asyncio.sleep(0)
                await window.done.wait()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            window.problem = window.problem or reason_of(error)
        finally:
            del self._windows[number]
        if window.problem:
            _errors.labels("PUBLISH_FAILED").inc()
            _log.warning("publish_failed", reason=window.problem, of=len(messages), left=window.left)
        return window.acknowledged()

    async def consume(
        self,
        *,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        handle: Callable[[Sequence[Received]], Awaitable[None]],
        batch: int = 256,
    ) -> None:
        """Hands the stream's messages to `handle` in batches, for ever; only cancellation ends it.

        A batch is acknowledged when `handle` has returned. When it raises, the batch is given back, and tried again
        after 0.1 s, doubling up to 5 s. The durable consumer is made when it is missing, from the stream's beginning.
        """
        config = {
            "name": durable,
            "durable_name": durable,
            "deliver_policy": "all",
            "ack_policy": "explicit",
            "ack_wait": int(ACK_WAIT.total_seconds() * 10**9),
            "max_ack_pending": 4 * batch,
            "filter_subjects": list(subjects),
        }
        retry = FIRST_RETRY
        while True:
            await self._up.wait()
            try:
                await self._api(
                    f"CONSUMER.CREATE.{stream}.{durable}", {"stream_name": stream, "config": config}
                )
                retry = FIRST_RETRY
                await _Pull(self._client, f"{stream}.{durable}", f"_INBOX_{self.name}", handle, batch).run()
            except (Unavailable, nats.errors.Error, OSError) as error:
                _log.info(
                    "consumer_waits",
                    stream=stream,
                    durable=durable,
                    reason=reason_of(error),
                    error=str(error),
                )
            await asyncio.sleep(retry)
            retry = min(retry * 2, LAST_RETRY)

    async def _keep(self) -> None:
        """Connects, and again with a new client whenever nats-py has given one up, for a wrong password say."""
        while True:
            closed = asyncio.Event()
            client = self._client = Client()
            try:
                await client.connect(
                    self._url,
                    name=f"tocsin-{self.name}",
                    inbox_prefix=f"_INBOX_{self.name}",
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnected,
                    reconnected_cb=self._on_connected,
                    closed_cb=_setting(closed),
                    connect_timeout=2,
                    reconnect_time_wait=0.25,  # type: ignore[arg-type]  # nats-py sleeps for it
                    max_reconnect_attempts=-1,
                    ping_interval=4,
                    max_outstanding_pings=2,
                    pending_size=PENDING,
                    skip_subject_validation=True,
                )
                await client.subscribe(f"{self._acks}.*.*", cb=self._on_ack)
                await self._on_connected()
                await closed.wait()
            except (nats.errors.Error, OSError) as error:
                await self._on_error(error)
            await self._on_disconnected()
            await asyncio.sleep(LAST_RETRY / 10)

    async def _on_connected(self) -> None:
        self.connections += 1
        self._up.set()
        _log.info("broker_connected", connections=self.connections)
        try:
            await self._ensure_streams()
        except Unavailable as error:
            _log.warning("stream_not_ensured", reason=error.reason, error=error.message)

    async def _on_disconnected(self) -> None:
        self._up.clear()

    async def _on_error(self, error: Exception) -> None:
        """Counts every error, and logs it unless it repeats the last one within half a minute."""
        text = str(error) or type(error).__name__
        denied = DENIED in text
        _errors.labels("DENIED" if denied else reason_of(error)).inc()
        for window in self._windows.values() if denied else ():
            window.denied(text)
        last, at = self._last_error
        if text != last or time.monotonic() - at > 30:
            self._last_error = (text, time.monotonic())
            _log.error("broker_error", reason="DENIED" if denied else reason_of(error), error=text)

    async def _on_ack(self, msg: Msg) -> None:
        _, number, place = msg.subject.rsplit(".", 2)
        window = self._windows.get(int(number))
        if window is None:
            return
        if found := _SEQ.match(msg.data):
            window.answer(int(place), int(found[1]))
        else:
            problem = json.loads(msg.data)["error"]["description"] if msg.data else "no stream"
            window.answer(int(place), None, problem)

    async def _ensure_streams(self) -> None:
        for name, config in self._streams.items():
            try:
                await self._api(f"STREAM.CREATE.{name}", config)
            except Unavailable as error:
                if error.reason != STREAM_DIFFERS:
                    raise
                await self._api(f"STREAM.UPDATE.{name}", config)

    async def _api(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """One request to JetStream; raises Unavailable, with JetStream's own code as the reason where it has one."""
        if not self.connected:
            raise Unavailable("the broker is away", reason="BROKER_AWAY")
        try:
            reply = await self._client.request(
                f"$JS.API.{verb}", json.dumps(body).encode(), timeout=ACK_TIMEOUT
            )
        except (nats.errors.Error, OSError) as error:
            raise Unavailable(f"{verb}: {reason_of(error)}", reason="BROKER_AWAY") from error
        answer: dict[str, Any] = json.loads(reply.data)
        if "error" in answer:
            problem = answer["error"]
            raise Unavailable(
                f"{verb}: {problem['description']}", reason=f"JETSTREAM_{problem.get('err_code')}"
            )
        return answer


class _Pull:
    """A durable consumer's messages: one pull request stands at a time, and what has arrived is one batch."""

    def __init__(
        self,
        client: Client,
        consumer: str,
        prefix: str,
        handle: Callable[[Sequence[Received]], Awaitable[None]],
        batch: int,
    ) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{consumer}"
        self._inbox = f"{prefix}.pull{os.urandom(6).hex()}"
        self._handle = handle
        self._batch = batch
        self._consumer = consumer
        self._held: deque[Msg] = deque()
        self._left = 0
        self._arrived = asyncio.Event()
        self._over = ""

    async def run(self) -> None:
        """Ends by Unavailable when the consumer or the connection is gone, and gives back what it held."""
        sub = await self._client.subscribe(self._inbox, cb=self._on_message)
        retry = FIRST_RETRY
        try:
            while True:
                if not await self._wait():
                    continue
                batch = list(self._held)[: self._batch]
                try:
                    await self._handle([read(msg) for msg in batch])
                except Exception as error:
                    _log.warning(
                        "batch_failed", consumer=self._consumer, reason=reason_of(error), error=str(error)
                    )
                    await self._give_back()
                    await asyncio.sleep(retry)
                    retry = min(retry * 2, LAST_RETRY)
                    continue
                retry = FIRST_RETRY
                for _ in batch:
                    await self._held.popleft().ack()
        finally:
            await self._give_back()
            await sub.unsubscribe()

    async def _wait(self) -> bool:
        """Keeps a request standing and waits for messages; whether there are any."""
        if self._over or not self._client.is_connected:
            raise Unavailable(self._over or "the broker is away", reason="CONSUMER_GONE")
        if not self._left:
            self._left = self._batch
            request = {"batch": self._batch, "expires": int(PULL * 10**9)}
            await self._client.publish(self._next, json.dumps(request).encode(), self._inbox)
        if not self._held:
            self._arrived.clear()
            try:
                async with asyncio.timeout(PULL + 1):
                    await self._arrived.wait()
            except TimeoutError:
                self._left = 0
        return bool(self._held)

    async def _on_message(self, msg: Msg) -> None:
        if msg.reply.startswith("$JS.ACK."):
            self._left -= 1
            self._held.append(msg)
        else:
            status = (msg.headers or {}).get("Status", "")
            if status in (NO_MESSAGES, EXPIRED):
                self._left = 0
            elif status != HEARTBEAT:
                self._over = f"{status} {(msg.headers or {}).get('Description', '')}"
        self._arrived.set()

    async def _give_back(self) -> None:
        """Everything held, in order, so that it comes again in order."""
        while self._held:
            await self._held.popleft().nak()


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def set_it() -> None:
        event.set()

    return set_it
