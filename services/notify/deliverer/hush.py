"""Keeps quiet hours at the last moment: whatever has made a page due within them, it waits until they end."""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from prometheus_client import Counter
from psycopg import AsyncConnection as RawConnection

from services.notify.domain.delivery import Claimed, hushed, parcels
from services.notify.domain.route import RouteLog
from services.notify.storage import attempts

_log = structlog.get_logger()
_hushed = Counter(
    "tocsin_pages_hushed_total", "Pages that became due within quiet hours and wait for their end."
)


class Hush:
    """Looks at what is claimed: retries, fail-overs, bundles and what we are late with may fall into quiet hours."""

    def __init__(self, *, failed: Callable[[], None]) -> None:
        """`failed` is called when a way is not to be waited for."""
        self._failed = failed

    async def sift(self, conn: RawConnection, claimed: Sequence[Claimed], now: datetime) -> Sequence[Claimed]:
        """What of it may go now; the claims on the rest are given back."""
        if not any(page.quiet_hours for page in claimed):
            return claimed
        going: list[Claimed] = []
        waiting: list[RouteLog] = []
        for parcel in parcels(claimed):
            until = parcel.quiet_until(now)
            if until is None:
                going += parcel.pages
            else:
                waiting += [hushed(page.route, until, now) for page in parcel.pages]
        if waiting:
            await attempts.hush(conn, waiting)
            _hushed.inc(len(waiting))
            _log.info(
                "pages_hushed",
                reason="QUIET_HOURS",
                route_log_ids=[str(r.route_log_id) for r in waiting[:10]],
                of=len(waiting),
            )
            if any(route.fail_over_at == now for route in waiting):
                self._failed()
        return going
