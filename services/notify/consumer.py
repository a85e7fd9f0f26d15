"""What has happened to alerts: once somebody has taken or closed one, what is not sent is cancelled, what is, is news."""

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from chassis.clock import Clock
from services.notify import convert
from services.notify.domain.page import Settled
from services.notify.storage import news, pages

STREAM = "TOCSIN_ALERT"
SUBJECTS = ("alert.acknowledged", "alert.closed")

_log = structlog.get_logger()


class Canceller:
    """Handles the events of SUBJECTS."""

    def __init__(self, clock: Clock, *, due: Callable[[], None]) -> None:
        """`due` is called when there is something to be sent; the deliverer looks again soon in any case."""
        self._clock = clock
        self._due = due

    async def handle(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        """Cancels what was decided up to the latest of the versions and tells those who were paged already, on the
        consumer's transaction."""
        latest: dict[UUID, Settled] = {}
        for event in events:
            one = convert.settled(event.type, event.data)
            known = latest.get(one.alert_id)
            latest[one.alert_id] = one if known is None or one.version > known.version else known
        now = self._clock.now()
        cancelled = await pages.settle(conn, latest.values(), now)
        told = await news.tell(conn, latest.values(), now)
        if told:
            self._due()
        if cancelled or told:
            _log.info("alerts_settled", cancelled=cancelled, told=told, alerts=len(latest))
