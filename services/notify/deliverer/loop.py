"""Claims what is due and sends it: no address waits for another, and no row is tried by two at a time."""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog
from prometheus_client import Counter, Histogram

from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.loop import DueLoop, reason_of
from services.notify.deliverer.admission import Admission
from services.notify.deliverer.allowance import ENDPOINT, HOST, Allowances
from services.notify.deliverer.hush import Hush
from services.notify.deliverer.leases import LEASE, Leases
from services.notify.deliverer.messages import Messages
from services.notify.deliverer.outcomes import Outcomes
from services.notify.deliverer.pace import MOST, Pace
from services.notify.domain import delivery
from services.notify.domain.contact_method import Channel
from services.notify.domain.decision import Decision
from services.notify.domain.delivery import Answer, Parcel, Rejected, Retry, Sender, Sent, parcels
from services.notify.domain.sealing import Unopened
from services.notify.storage import attempts
from services.notify.storage.attempts import Room

SCAN = 512
"""Rows looked at in one claim, those that are due longest; beyond them the first few of each method."""
RECORDING = timedelta(seconds=10)
"""How long an outcome is kept while the database is away; then the lease runs out, and it is sent once more."""

_log = structlog.get_logger()
_attempts = Counter("tocsin_delivery_attempts_total", "Attempts to send a page.", ["channel", "outcome"])
_waits = Histogram(
    "tocsin_delivery_start_seconds",
    "From the moment a page was due to its first attempt.",
    ["channel"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 60, 300),
)


class Deliverer:
    """Sends route logs when they are due, up to 512 at a time (pace.MOST).

    A claim is a lease that ends soon after this process dies. What is under way is not waited for before more is
    claimed.
    """

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        channels: Mapping[Channel, Sender],
        outcomes: Outcomes,
        messages: Messages,
        leases: Leases,
        admission: Admission,
        hush: Hush,
    ) -> None:
        self._db = db
        self._clock = clock
        self._channels = channels
        self._outcomes = outcomes
        self._messages = messages
        self._leases = leases
        self._admission = admission
        self._hush = hush
        self._endpoints, self._hosts = Allowances(ENDPOINT), Allowances(HOST)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pace = Pace()
        self._loop = DueLoop("deliver", self._claim)

    def wake(self) -> None:
        """Tells that something became due."""
        self._loop.wake()

    async def run(self) -> None:
        """Delivers for ever; only cancellation ends it, and leaves what is under way to `close`."""
        await self._loop.run()

    async def close(self, grace: timedelta = timedelta(seconds=3)) -> None:
        """Lets what is under way finish within `grace`; the rest is sent again when its lease has run out."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace.total_seconds())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _claim(self) -> timedelta | None:
        total = min(await self._pace.room(), MOST - len(self._tasks))
        if total <= 0:
            self._pace.full()
            return None
        now = self._clock.now()
        room = Room(
            total,
            ENDPOINT.first,
            self._endpoints.left(),
            self._endpoints.busy(),
            HOST.first,
            self._hosts.left(),
        )
        async with self._db.raw() as conn:
            claimed = await attempts.claim(conn, now=now, lease=LEASE, room=room, scan=SCAN)
            if claimed:
                crashpoint("deliver.after_claim")
            going = await self._hush.sift(conn, claimed, now)
            limited = [page for page in going if self._admission.limited(page)]
            self._start(parcels(page for page in going if page not in limited) if limited else parcels(going))
            due = await attempts.next_due(conn, now)
        if limited:
            self._start(await self._admission.admit(limited, LEASE))
        if len(claimed) >= total:
            self._pace.full()
        left = [*self._endpoints.left().values(), *self._hosts.left().values()]
        if 0 < len(claimed) < total and min(left, default=1) <= 0:
            return timedelta()  # those behind the rows of a full one may not have been looked at
        return None if due is None else due - now

    def _start(self, ready: Sequence[Parcel]) -> None:
        for parcel in ready:
            self._endpoints.taken(parcel.head.route.address)
            self._hosts.taken(attempts.host(parcel.head.route))
            task = asyncio.create_task(self._deliver(parcel))
            self._pace.begin(task)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            for page in parcel.pages:
                assert page.route.due_at is not None, "a claim is a lease"
                self._leases.hold(page.route.route_log_id, page.route.attempts, page.route.due_at, task)

    async def _deliver(self, parcel: Parcel) -> None:
        route = parcel.head.route
        answer: Answer | None = None
        try:
            if self._leases.stands(route.route_log_id, route.attempts):
                answer = await self._attempt(parcel)
        finally:
            for page in parcel.pages:
                self._leases.end(page.route.route_log_id, page.route.attempts)
            silent = isinstance(answer, Retry) and answer.silent
            free = self._endpoints.given_back(route.address, silent=silent)
            free = self._pace.end(asyncio.current_task()) or free
            if self._hosts.given_back(attempts.host(route), silent=silent) or free:
                self._loop.wake()
        if answer is not None:
            await self._record(parcel, answer)

    async def _attempt(self, parcel: Parcel) -> Answer:
        route, now = parcel.head.route, self._clock.now()
        if (refused := delivery.unsendable(parcel.head, now)) is not None:
            return refused
        channel = self._channels.get(route.channel)
        if channel is None:
            return Rejected(f"{route.channel} cannot be sent yet")
        if route.attempts == 1 and route.decision is Decision.PLANNED:
            waited = now - (route.created_at + route.delay)
            _waits.labels(route.channel).observe(waited.total_seconds())
        try:
            message = self._messages.of(parcel, now)
        except Unopened as error:
            return Retry(str(error))
        answer = await channel.send(message)
        crashpoint("deliver.after_send")
        return answer

    async def _record(self, parcel: Parcel, answer: Answer) -> None:
        route, now = parcel.head.route, self._clock.now()
        jitter = random.random()  # noqa: S311  # not a secret
        outcomes = [delivery.outcome(page.route, answer, now, jitter=jitter) for page in parcel.pages]
        name = type(answer).__name__.upper()
        _attempts.labels(route.channel, name).inc()
        if not isinstance(answer, Sent):
            _log.info(
                "page_not_sent",
                outcome=name,
                error=answer.reason,
                route_log_id=str(route.route_log_id),
                alert_id=str(route.alert_id),
                attempts=route.attempts,
                pages=len(parcel.pages),
            )
        await self._keep_recording(outcomes)

    async def _keep_recording(self, outcomes: Sequence[delivery.Outcome]) -> None:
        """Tries for 10 s until it is written."""
        ends, retry = time.monotonic() + RECORDING.total_seconds(), 0.05
        while True:
            try:
                return await self._outcomes.record(outcomes)
            except Exception as error:
                _log.warning("outcome_not_recorded", reason=reason_of(error), error=str(error))
                if time.monotonic() + retry > ends:
                    return None
            await asyncio.sleep(retry)
            retry = min(retry * 2, 1.0)
