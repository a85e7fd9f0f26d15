"""Receipts recorded by group commit: each moves its route log forward, and an acknowledgement is seen through."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Exhausted, NotFound
from chassis.outbox import Event
from services.notify import convert
from services.notify.domain.contact_method import Channel
from services.notify.domain.receipt import MOST_RECEIPTS, received
from services.notify.domain.route import Receipt, RouteLog, Status
from services.notify.storage import receipts
from services.notify.storage.acknowledgements import Acknowledgement
from tocsin.notify.v1 import route_pb2

FIRST_ASK = timedelta(seconds=5)
"""The call to escalation that follows the commit has this long; then the loop makes it."""


@dataclass(frozen=True, slots=True)
class Report:
    """A receipt to be recorded; `inbox_only` when it is about an inbox item, `by_link` when a signed link says so."""

    receipt: Receipt
    inbox_only: bool = False
    by_link: bool = False


@dataclass(frozen=True, slots=True)
class Recorded:
    """The route log after a receipt, with all that was heard back of it, and what escalation must be told."""

    route: route_pb2.RouteLog
    acknowledgement: Acknowledgement | None = None


@dataclass(slots=True)
class _Trail:
    """One route log while a flush changes it."""

    route: RouteLog
    receipts: list[Receipt]
    new: list[Receipt] = field(default_factory=list)
    reached: list[Status] = field(default_factory=list)
    _message: route_pb2.RouteLog | None = None

    @property
    def message(self) -> route_pb2.RouteLog:
        """It as a message, made once when the flush has applied everything."""
        if self._message is None:
            self._message = convert.route_log(self.route, self.receipts)
        return self._message


class Receipts:
    """Records receipts durably."""

    def __init__(
        self,
        *,
        db: Database,
        clock: Clock,
        acknowledge: Callable[[Acknowledgement], Awaitable[str]],
        after: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """`acknowledge` tells escalation, once the receipt is committed, and answers who has the alert; `after` is called when events were written,
        `failed` when somebody's way has failed."""
        self._db = db
        self._clock = clock
        self._acknowledge = acknowledge
        self._after = after
        self._failed = failed
        self._group = GroupCommit[Report, Recorded]("receipts", self._flush)

    async def record(self, report: Report) -> Recorded:
        """Returns when the receipt is committed and escalation was asked; the same receipt again changes nothing.

        Raises NotFound for an unknown route log, Exhausted for one with too many receipts.
        """
        recorded = await self._group.submit(report)
        if recorded.acknowledgement is not None:
            told = route_pb2.RouteLog()
            told.CopyFrom(recorded.route)
            told.taken_by = await self._acknowledge(recorded.acknowledgement)
            return Recorded(told)
        return recorded

    async def _flush(self, reports: list[Report]) -> Sequence[Recorded | Exception]:
        now = self._clock.now()
        async with self._db.raw() as conn, conn.pipeline(), conn.transaction():
            locked = await receipts.lock(conn, {report.receipt.route_log_id for report in reports})
            trails = {route.route_log_id: _Trail(route, heard) for route, heard in locked}
            asked = [self._apply(report, trails) for report in reports]
            changed = [trail for trail in trails.values() if trail.new]
            acks = [_acknowledgement(trail, now) for trail in changed if Status.ACKNOWLEDGED in trail.reached]
            if changed:
                await receipts.record(
                    conn,
                    [one for trail in changed for one in trail.new],
                    [trail.route for trail in changed if trail.reached],
                    acks,
                    [event for trail in changed for event in _events(trail)],
                )
        if any(trail.reached for trail in changed):
            self._after()
        if any(Status.FAILED in trail.reached for trail in changed):
            self._failed()
        first = {ack.route_log_id: ack for ack in acks}
        return [
            answer
            if isinstance(answer, Exception)
            else Recorded(answer.message, first.pop(answer.route.route_log_id, None))
            for answer in asked
        ]

    def _apply(self, report: Report, trails: Mapping[UUID, _Trail]) -> _Trail | Exception:
        receipt = report.receipt
        trail = trails.get(receipt.route_log_id)
        if trail is None or (report.inbox_only and trail.route.channel is not Channel.IN_APP):
            what = "inbox item" if report.inbox_only else "route log"
            return NotFound(f"there is no {what} {receipt.route_log_id}")
        if any(known.receipt_id == receipt.receipt_id for known in trail.receipts):
            return trail
        if report.by_link and trail.route.status is receipt.status is Status.ACKNOWLEDGED:
            return trail  # a link acknowledges once: whoever finds it later can add nothing
        if len(trail.receipts) >= MOST_RECEIPTS:
            return Exhausted(f"the route log has {MOST_RECEIPTS} receipts", reason="TOO_MANY_RECEIPTS")
        trail.receipts.append(receipt)
        trail.new.append(receipt)
        trail.route, reached = received(trail.route, receipt, receipt.recorded_at)
        trail.reached += reached
        return trail


def _events(trail: _Trail) -> list[Event]:
    at = trail.new[-1].recorded_at
    return [convert.told(status, trail.message, at) for status in trail.reached]


def _acknowledgement(trail: _Trail, now: datetime) -> Acknowledgement:
    return Acknowledgement(
        route_log_id=trail.route.route_log_id,
        alert_id=trail.route.alert_id,
        responder_id=trail.route.responder_id,
        note=next(r.detail for r in trail.new if r.status is Status.ACKNOWLEDGED),
        attempts=1,
        due_at=now + FIRST_ASK,
        answered_at=None,
        answer="",
    )
