"""What has happened to alerts: what is not sent yet is cancelled once somebody has taken or closed one."""

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from chassis.clock import Clock
from services.notify import convert
from services.notify.storage import pages

STREAM = "TOCSIN_ALERT"
SUBJECTS = ("alert.acknowledged", "alert.closed")

_log = structlog.get_logger()


class Canceller:
    """Handles the events of SUBJECTS."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def handle(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        """Cancels what was decided up to the latest of the versions, on the consumer's transaction."""
        versions: dict[UUID, int] = {}
        for event in events:
            alert_id, version = convert.settled(event.type, event.data)
            versions[alert_id] = max(version, versions.get(alert_id, 0))
        if cancelled := await pages.settle(conn, versions, self._clock.now()):
            _log.info("pages_cancelled", cancelled=cancelled, alerts=len(versions))
