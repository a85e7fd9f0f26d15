"""News: that an alert was taken or closed, to those who were paged and whose methods ask for it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.page import Settled

GIVE_UP_AFTER = timedelta(minutes=30)
"""Old news is none."""

_TELL = text(
    """
insert into route_logs (route_log_id, execution_id, alert_id, responder_id, channel, contact_method_id, address, status,
    attempts, last_error, created_at, due_at, expires_at, decision, delay, kind)
select distinct on (r.alert_id, r.contact_method_id) uuidv7(), r.execution_id, r.alert_id, r.responder_id, r.channel,
    r.contact_method_id, m.address, 'PENDING', 0, '', cast(:now as timestamptz), cast(:now as timestamptz),
    cast(:expires_at as timestamptz), 'PLANNED', interval '0', 'NEWS'
from route_logs r join contact_methods m using (contact_method_id) join pages p using (execution_id)
    join alerts a on a.alert_id = r.alert_id
where r.alert_id = any (:alert_ids) and r.kind = 'PAGE' and p.alert_version <= a.settled_version
    and (r.status in ('SENT', 'DELIVERED', 'READ', 'ACKNOWLEDGED') or r.status = 'CANCELLED' and r.attempts > 0)
    and m.enabled and m.notify_on_resolve and r.responder_id <> a.settled_by
order by r.alert_id, r.contact_method_id, r.created_at desc
on conflict do nothing"""
)


async def tell(conn: AsyncConnection, settled: Iterable[Settled], now: datetime) -> int:
    """Makes news due for everyone who was paged, or was just being paged, and is not the one who did it.

    Once for each page: who was told that an alert was taken is not told again that it was closed. Answers how many.
    """
    parameters = {
        "now": now,
        "expires_at": now + GIVE_UP_AFTER,
        "alert_ids": [one.alert_id for one in settled],
    }
    return (await conn.execute(_TELL, parameters)).rowcount
