"""Uses a person's next way when one has not worked in time, and says so once when none is left."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from prometheus_client import Counter

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from chassis.outbox import append
from services.notify import convert
from services.notify.domain.failover import Decided, FailOver, decide
from services.notify.domain.patience import FAIL_OVER_AFTER
from services.notify.domain.quiet_hours import over
from services.notify.domain.route import RouteLog
from services.notify.storage import failovers
from services.notify.storage.failovers import Step

AT_ONCE = 200
GAP = timedelta(seconds=10)
"""We were not there to try anything when this loop has not run for so long."""

_log = structlog.get_logger()
_decisions = Counter("tocsin_fail_overs_total", "Ways that have not worked, by what followed.", ["outcome"])


class FailOvers:
    """Sees to it that a way that does not work holds up nobody; each is a row's timer."""

    def __init__(
        self, *, db: Database, clock: Clock, used: Callable[[], None], after: Callable[[], None]
    ) -> None:
        """`used` is called when something became due, `after` when events were written."""
        self._db = db
        self._clock = clock
        self._used = used
        self._after = after
        self._steady_since = self._ran_at = clock.now()
        self._loop = DueLoop("fail-over", self._work)

    def wake(self) -> None:
        """Tells that a way has failed."""
        self._loop.wake()

    async def run(self) -> None:
        """Decides for ever; only cancellation ends it."""
        await self._loop.run()

    async def _work(self) -> timedelta | None:
        now = self._clock.now()
        async with self._db.begin() as conn:
            steps = await failovers.due(conn, now, AT_ONCE)
            self._ran(now)
            if not steps:
                following = await failovers.next_at(conn)
                return None if following is None else following - now
            locked = await failovers.lock(conn, steps)
            kept = await failovers.quiet_hours(conn, steps)
            quiet = {one for one, hours in kept.items() if over(hours, now) > now}
            decided = {
                step: decide(routes, now, steady_since=self._steady_since, quiet=quiet)
                for step, routes in locked.items()
            }
            every = decided.values()
            await failovers.give_up(conn, [route for one in every for route in one.given_up], now)
            await failovers.postpone(conn, [one for many in every for one in many.later])
            used = [one.used for one in every if one.used is not None]
            await failovers.use(conn, used, now, FAIL_OVER_AFTER)
            ended = [step for step, one in decided.items() if one.outcome is FailOver.EXHAUSTED]
            told = await failovers.exhaust(conn, ended, now)
            await append(
                conn, [convert.exhausted_event(last(decided[step].given_up), now) for step in sorted(told)]
            )
        if used:
            self._used()
        if told:
            self._after()
        for step, one in decided.items():
            _tell(step, one)
        return timedelta()

    def _ran(self, now: datetime) -> None:
        """After a pause, or a database that was away, nobody has had the chance to try anything before now."""
        if now - self._ran_at > GAP:
            self._steady_since = now
        self._ran_at = now


def last(given_up: Sequence[RouteLog]) -> RouteLog:
    """The way that failed last."""
    return max(given_up, key=lambda route: (route.fail_over_at or route.created_at, route.route_log_id))


def _tell(step: Step, one: Decided) -> None:
    _decisions.labels(one.outcome).inc()
    _log.info(
        "fail_over",
        outcome=one.outcome,
        execution_id=str(step[0]),
        responder_id=step[1],
        given_up=[str(route.route_log_id) for route in one.given_up],
        used=one.used and str(one.used.route_log_id),
    )
