"""Events in: what a batch says is folded by alert and joined into the facts by one statement."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.bus import Received
from services.sla.convert import events as convert
from services.sla.domain.fact import earliest, joined
from services.sla.storage import facts

ALERTS, ALERT_SUBJECTS = "TOCSIN_ALERT", ("alert.>",)
NOTIFICATIONS, NOTIFICATION_SUBJECTS = "TOCSIN_NOTIFICATION", ("notification.>",)


async def record(conn: AsyncConnection, events: Sequence[Received]) -> None:
    """Joins the events into the facts, on the caller's transaction."""
    await facts.join(conn, joined(convert.facts(events)))
    await facts.page(conn, earliest(convert.pages(events)))
