"""A service as a process: opened in order, served until told to stop, drained, closed in reverse."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import structlog
import uvloop

from chassis import telemetry
from chassis.config import ServiceSettings
from chassis.server import Server

log = structlog.get_logger()
CANCEL_AGAIN = 0.5
"""Seconds after which a loop that has not ended is cancelled again."""
YOUNG = 50_000
"""Objects more from which on garbage is looked for: a batch in flight is none, and looking at it cost a twentieth of it."""

Step = Callable[[], Awaitable[None]]
Loop = Callable[[], Coroutine[object, object, None]]
Config = TypeVar("Config", bound=ServiceSettings)


@dataclass
class Running:
    """A service that serves: its address, and `failed`, set when one of its loops ended by itself."""

    address: str
    failed: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def running(
    *, server: Server, opening: Sequence[Step], loops: Sequence[Loop], closing: Sequence[Step]
) -> AsyncIterator[Running]:
    """Opens, starts the loops, serves; at the end drains, stops the loops and closes.

    `closing` runs in the order given, also when opening failed half-way.
    """
    async with AsyncExitStack() as stack:
        for step in reversed(closing):
            stack.push_async_callback(step)
        for step in opening:
            await step()
        service = Running(server.address)
        tasks = [asyncio.create_task(loop(), name=getattr(loop, "__qualname__", "loop")) for loop in loops]
        for task in tasks:
            task.add_done_callback(lambda ended: _ended(ended, service))
        stack.push_async_callback(_stop, tasks)
        stack.push_async_callback(server.drain)
        await server.start()
        yield service


def _ended(task: asyncio.Task[None], service: Running) -> None:
    if not task.cancelled():
        log.error("loop.ended", loop=task.get_name(), exc_info=task.exception())
        service.failed.set()


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels until all have ended: `asyncio.wait_for`, which nats-py uses, can swallow a cancellation (3.11)."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)


def run(
    name: str, settings: type[Config], build: Callable[[Config], AbstractAsyncContextManager[Running]]
) -> None:
    """Runs a service until SIGINT or SIGTERM; exit status 1 when one of its loops ended by itself."""
    gc.enable()  # chassis.boot.lean keeps it quiet while importing
    gc.freeze()
    gc.set_threshold(YOUNG)
    config = settings()
    telemetry.configure_logs(name, level=config.log_level, form=config.log_format)
    telemetry.serve_metrics(config.metrics_listen)
    raise SystemExit(uvloop.run(_serve(name, build(config))))


async def _serve(name: str, service: AbstractAsyncContextManager[Running]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with service as serving:
        log.info("service.ready", address=serving.address)
        waits = [asyncio.create_task(stop.wait()), asyncio.create_task(serving.failed.wait())]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        log.info("service.stopping", service=name)
        return 1 if serving.failed.is_set() else 0
