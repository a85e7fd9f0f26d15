"""Lets pages through one by one, or in bundles, as their methods and people want it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Counter

from chassis.clock import Clock
from chassis.db import Database
from services.notify.domain.decision import Decision
from services.notify.domain.delivery import Claimed, Parcel, parcels
from services.notify.domain.load import MOST_BUNDLED, Admitted, Lane, Limits, Waiting, admit
from services.notify.domain.patience import FAIL_OVER_AFTER, PATIENCE
from services.notify.domain.route import RouteLog
from services.notify.storage import lanes

HELD = (Decision.BUNDLED, Decision.RATE_LIMITED)
_held = Counter("tocsin_pages_held_total", "Pages that were made to wait.", ["reason"])


class Admission:
    """Decides which of the pages that are due go now, and in which messages.

    What was sent before goes as it went then. What is new, by a method with limits, is decided together with all that
    is due by the method, under the locks of its lanes: no two replicas spend the same token.
    """

    def __init__(self, db: Database, clock: Clock, *, per_minute: int) -> None:
        """`per_minute` is how many messages a person gets by all methods together; 0 for any number."""
        self._db = db
        self._clock = clock
        self._per_minute = per_minute

    def limited(self, page: Claimed) -> bool:
        """Whether a claimed page has to be admitted."""
        if not page.fresh or page.route.decision is Decision.TEST:
            return False
        return bool(page.bundle_window or page.per_minute or self._per_minute) or page.route.decision in HELD

    async def admit(self, claimed: Sequence[Claimed], lease: timedelta) -> list[Parcel]:
        """What goes now of claimed pages, and perhaps others with them; the leases of the rest are ended."""
        now = self._clock.now()
        names = {name for page in claimed for name in _lanes(page)}
        methods = {page.route.contact_method_id for page in claimed}
        mine = {page.route.route_log_id for page in claimed}
        async with self._db.raw() as conn, conn.transaction():
            known = dict(await lanes.lock(conn, names, now))
            waiting = await lanes.waiting(conn, methods, mine, now, MOST_BUNDLED * len(methods))
            decided: list[Claimed] = []
            for pages in _groups(waiting, mine):
                admitted = self._admitted(pages, known, now)
                decided += _settled(pages, admitted, now + lease)
            await lanes.settle(conn, [page.route for page in decided])
            await lanes.write(conn, known.values())
        for page in decided:
            if not page.route.attempts:
                _held.labels(page.route.decision).inc()
        return parcels(page for page in decided if page.route.attempts)

    def _admitted(self, pages: Sequence[Claimed], known: dict[str, Lane], now: datetime) -> Admitted:
        first = pages[0]
        method, person = _lanes(first)
        limits = Limits(first.bundle_window, first.per_minute, self._per_minute)
        found = admit(
            [Waiting(str(page.route.route_log_id), page.severity) for page in pages],
            limits,
            known[method],
            known[person],
            now,
        )
        known[method], known[person] = found.method, found.person
        return found


def _lanes(page: Claimed) -> tuple[str, str]:
    """The lane of a page's method, by what is told, and that of its person."""
    route = page.route
    return f"{route.contact_method_id}/{route.kind}", f"@{route.responder_id}"


def _groups(waiting: Iterable[Claimed], mine: Collection[UUID]) -> list[list[Claimed]]:
    """Waiting pages by method and kind, in order, with all that this process holds, as many as fit one message."""
    found: dict[str, list[Claimed]] = defaultdict(list)
    for page in sorted(
        waiting, key=lambda page: (page.route.route_log_id not in mine, page.route.route_log_id)
    ):
        found[_lanes(page)[0]].append(page)
    groups = (
        sorted(pages[:MOST_BUNDLED], key=lambda page: page.route.route_log_id) for pages in found.values()
    )
    return [pages for pages in groups if any(page.route.route_log_id in mine for page in pages)]


def _settled(pages: Sequence[Claimed], admitted: Admitted, leased_until: datetime) -> list[Claimed]:
    """The pages as they are now: leased and perhaps bundled, or made to wait."""
    bundle_of: dict[str, tuple[UUID, bool]] = {}
    for group in admitted.messages:
        bundle_of |= dict.fromkeys(group, (UUID(group[0]), len(group) > 1))
    settled = []
    for page in pages:
        name = str(page.route.route_log_id)
        if name in bundle_of:
            route = _going(page.route, *bundle_of[name], leased_until)
        else:
            route = _held_back(page.route, admitted.until, admitted.reason)
        settled.append(replace(page, route=route))
    return settled


def _going(route: RouteLog, bundle_id: UUID, together: bool, leased_until: datetime) -> RouteLog:
    """A page alone has a bundle of its own: that tells it from one that is claimed and not decided about."""
    alone = Decision.PLANNED if route.decision is Decision.BUNDLED else route.decision
    decision = Decision.BUNDLED if together else alone
    return replace(route, due_at=leased_until, attempts=1, bundle_id=bundle_id, decision=decision)


def _held_back(route: RouteLog, until: datetime, reason: Decision) -> RouteLog:
    """Its time to fail over and to be given up counts from then on: nothing has failed."""
    return replace(
        route,
        due_at=until,
        attempts=0,
        decision=reason,
        fail_over_at=until + FAIL_OVER_AFTER if route.fail_over_at else None,
        expires_at=until + PATIENCE[route.channel].give_up_after,
    )
