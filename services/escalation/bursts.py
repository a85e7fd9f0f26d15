"""Repeat triggers: so many triggers of an open alert within a window, and the next level does not wait."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.alert import Alert, State
from services.escalation.domain.course import hastened
from services.escalation.domain.rules import Rules
from services.escalation.domain.timer import Kind, Timer
from services.escalation.storage import bursts as storage
from services.escalation.storage import timers
from services.escalation.storage.bursts import Burst

_log = structlog.get_logger()


async def hasten(
    conn: AsyncConnection, rules: Rules, repeated: Mapping[UUID, tuple[Alert, int]], now: datetime
) -> dict[UUID, Timer]:
    """The next steps of those of these alerts whose policies want no more waiting; without the others.

    `repeated` are alerts that are locked, as they were before, with the triggers that they get. However triggers are
    grouped, and whichever replica takes them, each of them counts for one firing.
    """
    watched = {}
    for alert_id, (alert, triggers) in repeated.items():
        repeat = rules.followed(alert.policy_id).repeat_trigger
        if repeat is not None and alert.state is State.OPEN and alert.snoozed_until is None:
            watched[alert_id] = (repeat, triggers)
    if not watched:
        return {}
    bursts = [Burst(alert_id, triggers, repeat.window) for alert_id, (repeat, triggers) in watched.items()]
    counted = await storage.count(conn, bursts, now)
    fired = {
        alert_id: divmod(counted[alert_id], repeat.threshold)
        for alert_id, (repeat, _) in watched.items()
        if counted[alert_id] >= repeat.threshold
    }
    if not fired:
        return {}
    await storage.start_anew(conn, {alert_id: left for alert_id, (_, left) in fired.items()}, now)
    armed = await timers.of_kind(conn, fired, Kind.ESCALATE)
    sooner = {}
    for alert_id, (times, _) in fired.items():
        policy = rules.followed(repeated[alert_id][0].policy_id)
        timer = armed.get(alert_id)
        for _ in range(min(times, 2)):
            timer = sooner[alert_id] = hastened(policy, alert_id, timer, now)
        _log.info("repeat_trigger", alert_id=str(alert_id), times=times)
    return sooner
