"""Records what became of attempts: what was sent or waits in groups, failures one by one."""

from collections.abc import Callable, Sequence

from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.db import Database
from chassis.outbox import append
from services.notify import convert
from services.notify.domain import delivery
from services.notify.domain.delivery import Outcome
from services.notify.domain.route import Status
from services.notify.storage import contact_methods, pages, routes


class Outcomes:
    """Writes outcomes durably, each with its events."""

    def __init__(self, db: Database, clock: Clock, *, after: Callable[[], None]) -> None:
        """`after` is called when events were written."""
        self._db = db
        self._clock = clock
        self._after = after
        self._group = GroupCommit[Outcome, None]("outcomes", self._flush)

    async def record(self, outcome: Outcome) -> None:
        """Returns when it is committed; raises Unavailable while the database is away."""
        if outcome.route.status is Status.FAILED:
            await self._fail(outcome)
        else:
            await self._group.submit(outcome)
        self._after()

    async def _flush(self, outcomes: list[Outcome]) -> Sequence[None]:
        sent = [one.route for one in outcomes if one.route.status is Status.SENT]
        events = [convert.event(Status.SENT, route, route.sent_at or self._clock.now()) for route in sent]
        async with self._db.raw() as conn:
            await routes.record(conn, outcomes, events)
        return [None] * len(outcomes)

    async def _fail(self, outcome: Outcome) -> None:
        """A failure looks at the person's other route logs of the step, so it locks the step."""
        route, now = outcome.route, self._clock.now()
        async with self._db.begin() as conn:
            await pages.lock(conn, [route.execution_id])
            if outcome.disable:
                await contact_methods.disable(conn, route.contact_method_id, outcome.disable)
            if not await routes.fail(conn, route):
                return
            events = [convert.event(Status.FAILED, route, now)]
            if delivery.exhausted(await routes.of_step(conn, route.execution_id, route.responder_id)):
                events.append(convert.exhausted_event(route, now))
            await append(conn, events)
