"""Statements of the watchdog: each reads a piece of an index, however many alerts there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from services.escalation.domain.alert import State
from services.escalation.domain.timer import Kind

START = (datetime(1970, 1, 1, tzinfo=UTC), UUID(int=0))
"""Before all alerts."""

_ESCALATING = f"state = '{State.OPEN}' and snoozed_until is null and exhausted_at is null"
"""Of alerts that a step must be armed for."""

_WAITING = text(
    f"""with piece as materialized (
        select alert_id, opened_at, {_ESCALATING} as escalating from alerts
        where state <> '{State.CLOSED}' and (opened_at, alert_id) > (:at, :after)
        order by opened_at, alert_id limit :limit
    )
    select alert_id, opened_at, escalating and not exists (
        select from timers where timers.alert_id = piece.alert_id and kind = '{Kind.ESCALATE}') as lost
    from piece order by opened_at, alert_id"""
)
_LOST = text(
    f"""select alert_id from alerts where {_ESCALATING} and alert_id = any (:ids) and not exists (
        select from timers where timers.alert_id = alerts.alert_id and kind = '{Kind.ESCALATE}')"""
).bindparams(bindparam("ids", type_=ARRAY(Uuid)))
_OVERDUE = text("select count(*) from (select from timers where ready_at < :since limit 10000) late")
_EXHAUSTED = text(
    """select count(*) from (
        select from alerts where exhausted_at is not null limit 10000) lost"""
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Those of some alerts that no step is armed for and should be, and where the next piece begins."""

    lost: list[UUID]
    after: tuple[datetime, UUID]


async def waiting(conn: AsyncConnection, *, after: tuple[datetime, UUID], limit: int) -> Piece:
    """Looks at up to `limit` alerts that are not closed, the oldest first, from the first after `after` on."""
    rows = (await conn.execute(_WAITING, {"at": after[0], "after": after[1], "limit": limit})).all()
    more = len(rows) == limit
    last = (rows[-1].opened_at, rows[-1].alert_id) if more else START
    return Piece([row.alert_id for row in rows if row.lost], last)


async def lost_of(conn: AsyncConnection, ids: Sequence[UUID]) -> list[UUID]:
    """Those of these alerts, which are locked, that no step is armed for."""
    return list((await conn.execute(_LOST, {"ids": list(ids)})).scalars())


async def overdue(conn: AsyncConnection, since: datetime) -> int:
    """How many timers could have been claimed since then and were not; at most 10,000."""
    return int((await conn.execute(_OVERDUE, {"since": since})).scalar_one())


async def exhausted(conn: AsyncConnection) -> int:
    """How many open alerts are exhausted; at most 10,000."""
    return int((await conn.execute(_EXHAUSTED)).scalar_one())
