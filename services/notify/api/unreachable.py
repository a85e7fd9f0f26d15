"""Who cannot be reached: asked for, and counted once a minute."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import Gauge

from chassis.clock import Clock
from chassis.db import Database
from chassis.loop import DueLoop
from services.notify.clients import Person, Roster
from services.notify.domain.contact_method import ContactMethod
from services.notify.domain.reach import Unreachable, unreachable
from services.notify.storage import contact_methods

POLL = timedelta(minutes=1)
LOOKED_BACK = timedelta(days=1)
"""How far back a failure counts."""

_gauge = Gauge("tocsin_unreachable_responders", "Responders whom no page reaches, by the reason.", ["reason"])


@dataclass(frozen=True, slots=True)
class Unreached:
    """A person and why nothing reaches them."""

    person: Person
    reason: Unreachable


class Reach:
    """Compares roster's responders with the contact methods. Roster is asked each time, so nobody is missed."""

    def __init__(self, *, db: Database, clock: Clock, roster: Roster) -> None:
        self._db = db
        self._clock = clock
        self._roster = roster
        self._loop = DueLoop("reach", self._count, poll=POLL)

    async def run(self) -> None:
        """Keeps the gauge fresh for ever; only cancellation ends it. While roster is away it stays as it was."""
        await self._loop.run()

    async def unreached(self) -> Sequence[Unreached]:
        """Everyone whom nothing reaches, in the order of their ids. Raises Unavailable while roster is away."""
        people = await self._roster.people()
        since = self._clock.now() - LOOKED_BACK
        async with self._db.raw() as conn:
            methods = await contact_methods.of_responders(conn, [person.responder_id for person in people])
            failing = await contact_methods.failing(conn, since)
        theirs: dict[str, list[ContactMethod]] = {person.responder_id: [] for person in people}
        for method in methods:
            theirs[method.responder_id].append(method)
        reasons = ((person, unreachable(theirs[person.responder_id], failing)) for person in people)
        return [Unreached(person, reason) for person, reason in reasons if reason is not None]

    async def _count(self) -> None:
        counted = Counter(one.reason for one in await self.unreached())
        for reason in Unreachable:
            _gauge.labels(reason).set(counted[reason])
