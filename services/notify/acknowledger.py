"""Tells escalation that somebody acknowledged by a page: at once, and again until it has answered."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum

import structlog
from prometheus_client import Counter

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import DomainError, Invalid, NotFound, Refused, TimedOut, Unavailable
from chassis.loop import DueLoop
from services.notify.clients import Escalation
from services.notify.storage import acknowledgements
from services.notify.storage.acknowledgements import Acknowledgement

LEASE = timedelta(seconds=5)
"""Longer than a call can take."""
FIRST_RETRY, LONGEST_RETRY = timedelta(seconds=1), timedelta(seconds=30)
"""After how long escalation is asked again that failed at one of them."""
AT_ONCE = 64

_log = structlog.get_logger()
_answers = Counter("tocsin_acknowledgements_total", "What escalation answered to receipts.", ["answer"])


class Answered(StrEnum):
    """What escalation can say for good."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


class Acknowledger:
    """Sees acknowledgements through; each is a row, written with its receipt.

    While escalation is away none is claimed, and none is made to wait: all of them go as soon as it is back.
    """

    def __init__(self, *, db: Database, clock: Clock, escalation: Escalation) -> None:
        self._db = db
        self._clock = clock
        self._escalation = escalation
        self._loop = DueLoop("acknowledge", self._work, poll=timedelta(milliseconds=500))
        self._asking: set[asyncio.Task[str]] = set()

    async def run(self) -> None:
        """Asks again for what was not answered, for ever; only cancellation ends it."""
        await self._loop.run()

    async def acknowledge(self, one: Acknowledgement) -> str:
        """Asks once, for a row whose lease this process holds, and writes the answer; never raises.

        Answers who has the alert, empty when escalation does not say. A caller that leaves leaves nothing undone.
        """
        asking = asyncio.create_task(self._at_once(one))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asyncio.shield(asking)

    async def _at_once(self, one: Acknowledgement) -> str:
        answer = await self._ask(one)
        if isinstance(answer, DomainError):
            await self._give_back([one], answer)
            return ""
        return answer

    async def _work(self) -> timedelta | None:
        await self._escalation.connected()
        now = self._clock.now()
        async with self._db.begin() as conn:
            due: Sequence[Acknowledgement] = await acknowledgements.claim(
                conn, now=now, until=now + LEASE, limit=AT_ONCE
            )
            following = None if due else await acknowledgements.next_due(conn)
        if not due:
            return None if following is None else max(following - now, timedelta(milliseconds=50))
        answers = await asyncio.gather(*map(self._ask, due))
        untold = {
            one: answer for one, answer in zip(due, answers, strict=True) if isinstance(answer, DomainError)
        }
        if untold:
            error = next(iter(untold.values()))
            await self._give_back(list(untold), error)
            raise error  # the loop waits, for all of them alike, and forgets how long once escalation answers
        return timedelta()

    async def _ask(self, one: Acknowledgement) -> str | Unavailable | TimedOut:
        """Asks once, writes the answer, and says who has the alert; that escalation is away is none, and not written."""
        due_at, answer, taken_by = None, str(Answered.ACKNOWLEDGED), ""
        try:
            taken_by = await self._escalation.acknowledge(one.alert_id, actor=one.responder_id, note=one.note)
        except (Unavailable, TimedOut) as error:
            return error
        except NotFound:
            answer = Answered.UNKNOWN
        except (Refused, Invalid) as error:
            answer = f"{Answered.REFUSED}: {error.reason}"
        except DomainError as error:
            answer = error.reason
            due_at = self._clock.now() + min(FIRST_RETRY * (1 << min(one.attempts, 10)), LONGEST_RETRY)
            _waits([one], error)
        crashpoint("acknowledge.after_answer")
        _answers.labels(answer.partition(":")[0]).inc()
        try:
            async with self._db.begin() as conn:
                await acknowledgements.settle(
                    conn, one.route_log_id, due_at=due_at, answer=answer, now=self._clock.now()
                )
        except DomainError as error:  # the lease runs out, and escalation is asked once more
            _log.warning("acknowledgement_not_written", reason=error.reason)
        return taken_by

    async def _give_back(self, untold: Sequence[Acknowledgement], error: DomainError) -> None:
        """Makes due at once what escalation could not be told: that it is away is the fault of none of them."""
        _answers.labels(error.reason).inc(len(untold))
        _waits(untold, error)
        try:
            async with self._db.begin() as conn:
                await acknowledgements.give_back(conn, untold, now=self._clock.now())
        except DomainError as failure:  # the leases run out
            _log.warning("acknowledgement_not_written", reason=failure.reason)


def _waits(untold: Sequence[Acknowledgement], error: DomainError) -> None:
    _log.warning(
        "acknowledgement_waits",
        reason=error.reason,
        error=error.message,
        of=len(untold),
        alert_id=sorted({str(one.alert_id) for one in untold})[:10],
    )
