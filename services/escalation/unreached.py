"""Goes on at once when a step has reached nobody: waiting for an acknowledgement would be in vain."""

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from chassis.clock import Clock
from chassis.snapshot import Snapshot
from services.escalation.convert import inbound as convert
from services.escalation.domain.alert import State
from services.escalation.domain.course import unheard
from services.escalation.domain.rules import Rules
from services.escalation.domain.timer import Kind
from services.escalation.storage import alerts, timers
from services.escalation.storage import unreached as storage
from services.escalation.storage.changes import Changes, write

STREAM, SUBJECTS = "TOCSIN_NOTIFICATION", ("notification.exhausted",)

_log = structlog.get_logger()


class Unreached:
    """Handles the events of SUBJECTS."""

    def __init__(self, *, rules: Snapshot[Rules], clock: Clock) -> None:
        self._rules = rules
        self._clock = clock

    async def handle(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        """Brings forward the next steps of open alerts whose newest step has reached none of its people.

        On the consumer's transaction and under the alerts' locks: never after an acknowledgement, and once, because a
        step that is due is not brought forward.
        """
        news = [convert.out_of_reach(event.data) for event in events]
        now = self._clock.now()
        locked = await alerts.lock(conn, (one.alert_id for one in news))
        await storage.note(conn, news, now)
        awake = [
            alert_id
            for alert_id, alert in locked.items()
            if alert.state is State.OPEN and alert.snoozed_until is None
        ]
        found = await storage.unheard(conn, awake)
        armed = await timers.of_kind(conn, found, Kind.ESCALATE)
        hastened = []
        for alert_id, timer in armed.items():
            policy = self._rules.value.followed(locked[alert_id].policy_id)
            heard, catch_all = found[alert_id]
            sooner = unheard(policy, timer, now, heard=heard, catch_all=catch_all)
            if sooner is not None:
                hastened.append(sooner)
                _log.warning(
                    "nobody_reached", alert_id=str(alert_id), level=locked[alert_id].escalation_level
                )
        if hastened:
            await write(conn, Changes(timers=hastened))
