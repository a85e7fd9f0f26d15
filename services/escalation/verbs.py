"""Does to alerts what people ask for: under a lock, many of them in one commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

import structlog
from prometheus_client import Counter

from chassis import telemetry
from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import DomainError
from services.escalation.domain.alert import Alert, Change
from services.escalation.record import Made, record
from services.escalation.storage import alerts as storage
from tocsin.escalation.v1 import alert_pb2

Verb: TypeAlias = Callable[[Alert, datetime], Change]
"""What is done, decided on the alert as it is under the lock and at that instant; may raise a DomainError."""

_log = structlog.get_logger()
_actions = Counter("tocsin_alert_actions_total", "What people did to alerts.", ["type"])


@dataclass(frozen=True, slots=True)
class Order:
    """A verb for an alert."""

    alert_id: UUID
    verb: Verb
    trace: str


class Verbs:
    """Carries out orders in groups; those of one alert in the order in which they came."""

    def __init__(self, *, db: Database, clock: Clock, committed: Callable[[], None]) -> None:
        """`committed` is called when something new is due, or to be published."""
        self._db = db
        self._clock = clock
        self._committed = committed
        self._group = GroupCommit[Order, alert_pb2.Alert]("verb", self._flush)

    async def submit(self, alert_id: UUID, verb: Verb) -> alert_pb2.Alert:
        """The alert after the verb. Raises NotFound, or what the verb raises."""
        return await self._group.submit(Order(alert_id, verb, telemetry.trace_parent()))

    async def drain(self) -> None:
        """Waits until everything taken so far has been answered."""
        await self._group.drain()

    async def _flush(self, orders: list[Order]) -> Sequence[alert_pb2.Alert | Exception]:
        async with self._db.begin() as conn:
            alerts = await storage.lock(conn, [order.alert_id for order in orders])
            now = self._clock.now()
            decided = [_decide(order, alerts, now) for order in orders]
            changes = [one for one in decided if isinstance(one, Made)]
            messages = iter(await record(conn, changes, now))
        self._committed()
        for one in changes:
            _tell(one.change)
        return [next(messages) if isinstance(one, Made) else one for one in decided]


def _decide(order: Order, alerts: dict[UUID, Alert], now: datetime) -> Made | DomainError:
    alert = alerts.get(order.alert_id)
    if alert is None:
        return storage.missing(order.alert_id)
    try:
        change = order.verb(alert, now)
    except DomainError as error:
        return error
    alerts[order.alert_id] = change.alert
    return Made(change, order.trace)


def _tell(change: Change) -> None:
    if change.action is not None:
        _actions.labels(change.action).inc()
        _log.info(
            "alert_action", alert_id=str(change.alert.alert_id), type=change.action, actor=change.by.actor
        )
