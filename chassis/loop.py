"""A loop over due work that sleeps exactly as long as nothing is due, and that no failure ends."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from prometheus_client import Counter

from chassis.errors import DomainError

FIRST_RETRY = timedelta(milliseconds=50)

_log = structlog.get_logger()
_failures = Counter("tocsin_loop_failures_total", "Runs of a loop's work that failed.", ["loop", "reason"])


def reason_of(error: BaseException) -> str:
    """The name under which a failure is logged and counted: the error's own reason, else its type."""
    return error.reason if isinstance(error, DomainError) else type(error).__name__


class DueLoop:
    """Runs a piece of due work when woken, when its next due instant comes, and at least every `poll`."""

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[timedelta | None]],
        *,
        poll: timedelta = timedelta(seconds=1),
    ) -> None:
        """`work` answers how long nothing will be due: None for unknown, zero or less to run again at once."""
        self.name = name
        self._work = work
        self._poll = poll
        self._woken = asyncio.Event()
        self._problem = ""

    def wake(self) -> None:
        """Asks for a run. Wakes coalesce; one that comes while work runs makes it run once more."""
        self._woken.set()

    async def run(self) -> None:
        """Runs for ever; only cancellation ends it.

        A failure of work is logged, counted and retried after 50 ms, doubling up to `poll`; wakes do not cut that
        wait short, or a database that is away would be asked without pause.
        """
        retry = FIRST_RETRY
        while True:
            self._woken.clear()
            try:
                due_in = await self._work()
            except Exception as error:
                self._failed(error)
                await asyncio.sleep(retry.total_seconds())
                retry = min(retry * 2, self._poll)
            else:
                retry, self._problem = FIRST_RETRY, ""
                await self._sleep(self._poll if due_in is None else min(due_in, self._poll))

    async def _sleep(self, pause: timedelta) -> None:
        if pause <= timedelta():
            await asyncio.sleep(0)
            return
        timer = asyncio.get_running_loop().call_later(pause.total_seconds(), self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timer.cancel()

    def _failed(self, error: Exception) -> None:
        reason = reason_of(error)
        _failures.labels(self.name, reason).inc()
        if reason != self._problem:  # a database that is away for an hour is one line
            self._problem = reason
            trace = None if isinstance(error, DomainError) else error
            _log.warning("loop_failed", loop=self.name, reason=reason, error=str(error), exc_info=trace)
