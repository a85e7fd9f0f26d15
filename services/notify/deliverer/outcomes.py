"""Records what became of attempts, in groups."""

from collections.abc import Callable, Sequence

from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.db import Database
from services.notify import convert
from services.notify.domain.delivery import Outcome
from services.notify.domain.route import Status
from services.notify.storage import attempts

TOLD = (Status.SENT, Status.FAILED)
"""The statuses by which an attempt becomes an event."""


class Outcomes:
    """Writes outcomes durably, each with its event."""

    def __init__(
        self, db: Database, clock: Clock, *, after: Callable[[], None], failed: Callable[[], None]
    ) -> None:
        """`after` is called when events were written, `failed` when there is something to fail over."""
        self._db = db
        self._clock = clock
        self._after = after
        self._failed = failed
        self._group = GroupCommit[Outcome, None]("outcomes", self._flush)

    async def record(self, outcomes: Sequence[Outcome]) -> None:
        """Returns when all are committed; raises Unavailable while the database is away."""
        for answer in await self._group.submit_many(outcomes):
            if isinstance(answer, Exception):
                raise answer

    async def _flush(self, outcomes: list[Outcome]) -> Sequence[None]:
        now = self._clock.now()
        told = [one.route for one in outcomes if one.route.status in TOLD]
        events = [convert.event(route.status, route, route.sent_at or now) for route in told]
        async with self._db.raw() as conn:
            await attempts.record(conn, outcomes, events)
        if events:
            self._after()
        if any(one.route.fail_over_at and one.route.fail_over_at <= now for one in outcomes):
            self._failed()
        return [None] * len(outcomes)
