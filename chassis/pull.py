"""A durable consumer's messages: pulled as they come, handed on in batches and in order, acknowledged or given back."""

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from chassis.cloudevents import Received
from chassis.errors import Unavailable
from chassis.loop import reason_of

STANDS = 2.0
"""Seconds for which a pull request stands: what a restarted broker forgets is asked for again after them."""
FIRST_RETRY, LAST_RETRY = 0.1, 2.0
SECOND = 10**9

Handle = Callable[[Sequence[Received]], Awaitable[None]]

_NO_MESSAGES, _EXPIRED, _HEARTBEAT = "404", "408", "100"
_log = structlog.get_logger()


class Pull:
    """A durable consumer's messages: one pull request stands at a time, and a batch is what has arrived.

    nats-py's own `fetch` waits for a full batch or its time to run out, seconds during which a page would lie there.
    """

    def __init__(
        self, client: Client, consumer: str, inbox: str, handle: Handle, batch: int, gather: timedelta
    ) -> None:
        self._client = client
        self._consumer = consumer
        self._inbox = f"{inbox}.pull{os.urandom(6).hex()}"
        self._handle = handle
        self._batch = batch
        self._gather = gather.total_seconds()
        self._held: deque[Msg] = deque()
        self._wanted = self._arrivals = 0
        self._arrived = asyncio.Event()
        self._moved = asyncio.Condition()
        self._over = ""

    async def run(self) -> None:
        """Ends by Unavailable when the consumer or the connection is gone, and gives back what it holds."""
        sub = await self._client.subscribe(self._inbox, cb=self._on_message)
        retry, handled_at = FIRST_RETRY, 0.0
        try:
            while True:
                await self._wait()
                if len(self._held) < self._batch:
                    await asyncio.sleep(max(0.0, handled_at + self._gather - time.monotonic()))
                if self._gather:
                    await self._ask()
                batch = list(self._held)[: self._batch]
                try:
                    await self._handle([Received.read(msg) for msg in batch])
                except Exception as error:
                    _log.warning(
                        "batch_failed", consumer=self._consumer, reason=reason_of(error), error=str(error)
                    )
                    await self._give_back()
                    await asyncio.sleep(retry)
                    retry = min(retry * 2, LAST_RETRY)
                    # What was on its way here meanwhile has overtaken what was given back.
                    self._held = deque(sorted(self._held, key=lambda msg: msg.metadata.sequence.stream))
                else:
                    retry = FIRST_RETRY
                    for _ in batch:
                        await self._held.popleft().ack()
                    handled_at = time.monotonic()
                async with self._moved:
                    self._moved.notify_all()
        finally:
            await self._give_back()
            await sub.unsubscribe()

    def end(self, why: str) -> None:
        """Ends `run` when what has arrived is handled."""
        self._over = why
        self._arrived.set()

    async def caught_up(self) -> None:
        """Waits until what has arrived by now is handled, or given back."""
        arrivals = self._arrivals
        async with self._moved:
            await self._moved.wait_for(lambda: self._arrivals - len(self._held) >= arrivals)

    async def _wait(self) -> None:
        """Keeps a request standing until messages are held."""
        while not self._held:
            self._arrived.clear()
            if self._over:
                raise Unavailable(self._over, reason="CONSUMER_GONE")
            await self._ask()
            try:
                async with asyncio.timeout(STANDS + 1):
                    await self._arrived.wait()
            except TimeoutError:
                self._wanted = 0

    async def _ask(self) -> None:
        if self._wanted <= 0:
            self._wanted = self._batch
            request = json.dumps({"batch": self._batch, "expires": int(STANDS * SECOND)})
            subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._consumer}"
            await self._client.publish(subject, request.encode(), self._inbox)

    async def _on_message(self, msg: Msg) -> None:
        if msg.reply.startswith("$JS.ACK."):
            self._wanted -= 1
            self._arrivals += 1
            self._held.append(msg)
        else:
            headers = msg.headers or {}
            status = headers.get("Status", "")
            if status in (_NO_MESSAGES, _EXPIRED):
                self._wanted = 0
            elif status != _HEARTBEAT:
                self.end(f"{status} {headers.get('Description', '')}")
        self._arrived.set()

    async def _give_back(self) -> None:
        """Everything held, in order, so that it comes again in order."""
        while self._held:
            await self._held.popleft().nak()
