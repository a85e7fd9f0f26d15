"""A test page to oneself: it goes the way of every page, through the deliverer, and leaves a route log."""

from collections.abc import Callable

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import NotFound, Refused
from services.notify import convert
from services.notify.domain import page as domain
from services.notify.domain.contact_method import Severity
from services.notify.domain.route import RouteLog
from services.notify.storage import contact_methods, pages

_WHY = {
    "DISABLED": "the contact method is disabled",
    "UNVERIFIED": "nobody has confirmed the address; send a code first",
}


class Trials:
    """Sends test pages."""

    def __init__(self, *, db: Database, clock: Clock, accepted: Callable[[], None]) -> None:
        """`accepted` is called after each commit: something is due."""
        self._db = db
        self._clock = clock
        self._accepted = accepted

    async def send(self, contact_method_id: str) -> RouteLog:
        """The route log of a test page that is due now, whatever the quiet hours.

        Raises NotFound, and Refused for a method that is disabled or not confirmed.
        """
        now = self._clock.now()
        async with self._db.connect() as conn:
            method = await contact_methods.get(conn, contact_method_id)
        if method is None:
            raise NotFound(f"there is no contact method {contact_method_id!r}")
        if (skipped := method.skipped_for(Severity.CRITICAL)) is not None:
            raise Refused(_WHY[skipped], reason=f"CONTACT_METHOD_{skipped}")
        page, route = domain.trial(method, lambda alert_id: convert.trial_alert(alert_id, now), now)
        async with self._db.raw() as raw:
            await pages.accept(raw, [page], [route], [], now)
        self._accepted()
        return route
