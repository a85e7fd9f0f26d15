"""Tells escalation that somebody acknowledged by a page: at once, and again until it has answered."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import structlog
from prometheus_client import Counter

from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import DomainError, Invalid, NotFound, Refused
from chassis.loop import DueLoop
from services.notify.clients import Escalation
from services.notify.storage import acknowledgements
from services.notify.storage.acknowledgements import Acknowledgement

LEASE = timedelta(seconds=10)
"""Longer than a call can take."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(seconds=30)
AT_ONCE = 64

_log = structlog.get_logger()
_answers = Counter("tocsin_acknowledgements_total", "What escalation answered to receipts.", ["answer"])


class Answered(StrEnum):
    """What escalation can say for good."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class Acknowledger:
    """Sees acknowledgements through; each is a row, written with its receipt."""

    def __init__(self, *, db: Database, clock: Clock, escalation: Escalation) -> None:
        self._db = db
        self._clock = clock
        self._escalation = escalation
        self._loop = DueLoop("acknowledge", self._work)

    async def run(self) -> None:
        """Asks again for what was not answered, for ever; only cancellation ends it."""
        await self._loop.run()

    async def acknowledge(self, one: Acknowledgement) -> str:
        """Asks once, for a row whose lease this process holds, and writes the answer; never raises.

        Answers who has the alert, empty when escalation does not say.
        """
        due_at, answer, taken_by = None, str(Answered.ACKNOWLEDGED), ""
        try:
            taken_by = await self._escalation.acknowledge(one.alert_id, actor=one.responder_id, note=one.note)
        except NotFound:
            answer = Answered.UNKNOWN
        except (Refused, Invalid) as error:
            answer = f"{Answered.REFUSED}: {error.reason}"
        except DomainError as error:
            answer = error.reason
            due_at = self._clock.now() + min(FIRST_RETRY * (1 << min(one.attempts, 10)), LONGEST_RETRY)
            _log.warning(
                "acknowledgement_waits",
                reason=error.reason,
                error=error.message,
                alert_id=str(one.alert_id),
                route_log_id=str(one.route_log_id),
            )
        _answers.labels(answer.partition(":")[0]).inc()
        try:
            async with self._db.begin() as conn:
                await acknowledgements.settle(
                    conn, one.route_log_id, due_at=due_at, answer=answer, now=self._clock.now()
                )
        except DomainError as error:  # the lease runs out, and escalation is asked once more
            _log.warning("acknowledgement_not_written", reason=error.reason)
        return taken_by

    async def _work(self) -> timedelta | None:
        now = self._clock.now()
        async with self._db.begin() as conn:
            due: Sequence[Acknowledgement] = await acknowledgements.claim(
                conn, now=now, until=now + LEASE, limit=AT_ONCE
            )
            following = None if due else await acknowledgements.next_due(conn)
        if due:
            await asyncio.gather(*map(self.acknowledge, due))
            return timedelta()
        return None if following is None else max(following - now, timedelta(milliseconds=50))
