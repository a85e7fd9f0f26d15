"""Events in: what a batch says is folded by alert, joined into the facts, and held against what was promised."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from services.sla.convert import events as convert
from services.sla.domain.fact import Fact, earliest, joined
from services.sla.promises import Promises
from services.sla.storage import facts

ALERTS, ALERT_SUBJECTS = "TOCSIN_ALERT", ("alert.>",)
NOTIFICATIONS, NOTIFICATION_SUBJECTS = "TOCSIN_NOTIFICATION", ("notification.>",)

GATHER = timedelta(milliseconds=50)
"""How far batches are apart that are not full: joining fifty events costs little more than joining one."""
_PLANNED_ONCE = text("set local plan_cache_mode = force_generic_plan")
"""Planning the join takes ten times as long as executing it, and does not depend on what is joined."""


class Recorder:
    """What both streams' events are handed to."""

    def __init__(self, promises: Promises) -> None:
        self._promises = promises

    async def record(self, conn: AsyncConnection, events: Sequence[Received]) -> None:
        """Joins the events into the facts, on the caller's transaction."""
        news = await record(conn, events)
        # Only escalation's events say that an alert has opened, or is over.
        await self._promises.follow(conn, [fact.alert_id for fact in news if fact.version])


async def record(conn: AsyncConnection, events: Sequence[Received]) -> list[Fact]:
    """Joins the events into the facts and the pages, on the caller's transaction; what they say of each alert."""
    await conn.execute(_PLANNED_ONCE)
    news = joined(convert.facts(events))
    await facts.join(conn, news)
    await facts.page(conn, earliest(convert.pages(events)))
    return news
