"""Tells notify of every step with somebody to tell, again and again until it is accepted."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter, Histogram

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import DomainError, Exhausted, Invalid, TimedOut, Unavailable
from chassis.loop import DueLoop
from services.escalation.clients import Notify
from services.escalation.convert import alerts as convert
from services.escalation.storage import executions as storage
from services.escalation.storage.executions import Page

BATCH = 200
PAUSE = timedelta(milliseconds=20)
"""The shortest sleep: what is due and was not claimed is just in somebody else's hands."""
LEASE = timedelta(seconds=5)
FIRST_RETRY, LAST_RETRY = timedelta(milliseconds=100), timedelta(seconds=2)
"""After how long a page is told again that was refused."""

_log = structlog.get_logger()
_pages = Counter("tocsin_pages_total", "Pages told to notify, by what became of them.", ["reason"])
_seconds = Histogram(
    "tocsin_page_wait_seconds",
    "From a step to notify's acceptance of its page.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 120),
)


class Pager:
    """Sends what the table `pages` holds; a row is gone when notify has answered, or when the alert is taken.

    While notify is away no page is claimed, and none is made to wait: all of them go as soon as it is back.
    """

    def __init__(self, *, db: Database, notify: Notify, clock: Clock) -> None:
        self._db = db
        self._notify = notify
        self._clock = clock
        self._behind = False  # more waited than was claimed: it may be one team's storm
        self._loop = DueLoop("pager", self._work, poll=timedelta(milliseconds=500))

    def wake(self) -> None:
        """Tells that there are new pages."""
        self._loop.wake()

    async def run(self) -> None:
        """Sends for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        await self._notify.connected()
        now = self._clock.now()
        until = now + LEASE
        async with self._db.raw() as conn:
            claimed = await storage.claim_pages(conn, now=now, until=until, limit=BATCH, fair=self._behind)
            self._behind = len(claimed) == BATCH
            if not claimed:
                at = await storage.next_page_at(conn)
                return None if at is None else max(at - self._clock.now(), PAUSE)
        try:
            await self._send(claimed)
        except (Unavailable, TimedOut) as error:
            _refused(claimed, error)
            mine = [page.execution.execution_id for page in claimed]
            async with self._db.raw() as conn:
                await storage.give_back(conn, mine, until=until, now=self._clock.now())
            raise  # the loop waits, for all pages alike, and forgets how long once notify answers
        return timedelta()

    async def _send(self, pages: Sequence[Page]) -> None:
        """Sends pages together; when they are refused, or too large, halves them until those at fault stand alone.

        Raises Unavailable or TimedOut when notify is away: that is no page's fault.
        """
        try:
            accepted = await self._notify.page([convert.page(one.execution, one.alert) for one in pages])
        except (Invalid, Exhausted) as error:
            if len(pages) == 1:
                await self._retry(pages, error)
                return
            half = len(pages) // 2
            await self._send(pages[:half])
            await self._send(pages[half:])
        except (Unavailable, TimedOut):
            raise
        except DomainError as error:
            await self._retry(pages, error)
        else:
            crashpoint("pager.after_answer")
            async with self._db.raw() as conn:
                await storage.accepted(conn, accepted)
            kept = frozenset(accepted)
            _tell([page for page in pages if page.execution.execution_id in kept], self._clock.now())

    async def _retry(self, pages: Sequence[Page], error: DomainError) -> None:
        _refused(pages, error)
        async with self._db.raw() as conn:
            await storage.retry(
                conn,
                [page.execution.execution_id for page in pages],
                now=self._clock.now(),
                first=FIRST_RETRY,
                most=LAST_RETRY,
            )


def _refused(pages: Sequence[Page], error: DomainError) -> None:
    _pages.labels(error.reason).inc(len(pages))
    alerts = sorted({str(page.alert.alert_id) for page in pages})
    _log.warning(
        "pages_not_accepted",
        reason=error.reason,
        error=error.message,
        of=len(pages),
        alert_id=alerts[:10],
    )


def _tell(pages: Sequence[Page], now: datetime) -> None:
    _pages.labels("ACCEPTED").inc(len(pages))
    for page in pages:
        _seconds.observe(max(0.0, (now - page.execution.at).total_seconds()))
        _log.info(
            "paged",
            alert_id=str(page.alert.alert_id),
            execution_id=str(page.execution.execution_id),
            level=page.execution.level,
            recipients=page.execution.recipients,
        )
