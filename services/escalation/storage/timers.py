"""Statements on timers: claimed by one replica for a lease, and used up only under the claim that they have."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import tuple_row
from sqlalchemy import any_, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from services.escalation.domain.alert import Alert, Severity
from services.escalation.domain.timer import Kind, Reason, Timer
from services.escalation.storage.fairness import fairly
from services.escalation.tables.alerts import alerts, timers

_FIELDS = [timers.c[name] for name in Timer._fields]

_LONGEST: LiteralString = """
select alert_id, kind from timers
where ready_at <= %(now)b and (%(ids)b::uuid[] is null or alert_id = any (%(ids)b))
    and alert_id <> all (%(but)b)
order by ready_at limit %(limit)b for update skip locked"""


def _claiming(due: LiteralString) -> LiteralString:
    return f"""
update timers set ready_at = %(until)b, claim = %(claim)b
from ({due}) due join alerts using (alert_id)
where timers.alert_id = due.alert_id and timers.kind = due.kind
returning timers.alert_id, timers.kind, due_at, level, round, reason, targets, told, hurry, people, alerts.policy_id,
    severity"""


_CLAIM, _CLAIM_FAIRLY = (
    _claiming(_LONGEST),
    _claiming(fairly("timers", "alert_id, kind", "alert_id <> all (%(but)b)")),
)

_NEXT: LiteralString = "select min(ready_at) from timers"


@dataclass(frozen=True, slots=True)
class Due:
    """A timer that this replica has claimed, and what its alert follows: a policy, by its severity."""

    timer: Timer
    policy_id: str
    severity: Severity


async def claim(
    conn: RawConnection,
    claim_id: UUID,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    ids: Collection[UUID] = (),
    but: Collection[UUID] = (),
    fair: bool = False,
) -> list[Due]:
    """Claims up to `limit` timers that are due, of these alerts or of all `but` some, those first that are due longest.

    `fair`, of all, is for when there are more: then every policy has some. Nobody else gets them before `until`; one that another replica is just claiming is passed over.
    """
    values = {
        "until": until,
        "claim": claim_id,
        "now": now,
        "limit": limit,
        "ids": list(ids) or None,
        "but": list(but),
    }
    async with conn.cursor(binary=True, row_factory=tuple_row) as cursor:
        rows = await (await cursor.execute(_CLAIM_FAIRLY if fair else _CLAIM, values)).fetchall()
    return [Due(_timer(row[:-2]), row[-2], Severity(row[-1])) for row in rows]


def _timer(row: Sequence[Any]) -> Timer:
    alert_id, kind, due_at, level, round_, reason, targets, told, hurry, people = row
    return Timer(
        alert_id,
        Kind(kind),
        due_at,
        level,
        round_,
        Reason(reason),
        tuple(targets),
        told,
        hurry,
        tuple(people),
    )


async def lock_claimed(
    conn: AsyncConnection, claim_id: UUID, ids: Collection[UUID]
) -> list[tuple[Timer, Alert]]:
    """Locks what is still claimed of these alerts, timers with their alerts, in the order of the alerts' ids and kinds.

    A timer that somebody stopped or set anew, or that another replica claimed after the lease, is not among them.
    """
    query = (
        select(*_FIELDS, *[column.label(f"alert_{column.name}") for column in alerts.c])
        .join_from(alerts, timers, timers.c.alert_id == alerts.c.alert_id)
        .where(timers.c.alert_id == any_(literal(list(ids), ARRAY(Uuid))), timers.c.claim == claim_id)
        .order_by(alerts.c.alert_id, timers.c.kind)
        .with_for_update()
    )
    width = len(_FIELDS)
    return [(Timer(*row[:width]), Alert(*row[width:])) for row in await conn.execute(query)]


async def of_kind(conn: AsyncConnection, alert_ids: Collection[UUID], kind: Kind) -> dict[UUID, Timer]:
    """The timers of a kind of these alerts, which are locked: so nobody changes them meanwhile."""
    wanted = literal(list(alert_ids), ARRAY(Uuid))
    query = select(*_FIELDS).where(timers.c.alert_id == any_(wanted), timers.c.kind == kind)
    return {row.alert_id: Timer(*row) for row in await conn.execute(query)}


async def of_alert(conn: AsyncConnection, alert_id: UUID) -> list[Timer]:
    """What an alert waits for; handovers are not among it."""
    query = select(*_FIELDS).where(timers.c.alert_id == alert_id, timers.c.kind != Kind.HANDOVER)
    return [Timer(*row) for row in await conn.execute(query)]


async def postpone(conn: AsyncConnection, later: Sequence[Timer], until: datetime) -> None:
    """Gives up the claim on timers that cannot be decided yet; they are due again at `until`."""
    if later:
        await conn.execute(
            update(timers)
            .where(tuple_(timers.c.alert_id, timers.c.kind).in_([(one.alert_id, one.kind) for one in later]))
            .values(ready_at=until, claim=None)
        )


async def next_at(conn: RawConnection) -> datetime | None:
    """When the next timer can be claimed; None when there is none."""
    row = await (await conn.execute(_NEXT)).fetchone()
    return row[0] if row else None


async def due_until(
    conn: AsyncConnection, at: datetime, *, ids: Collection[UUID], limit: int
) -> list[tuple[Timer, Alert]]:
    """Up to `limit` timers due by `at`, of these alerts or of all, those first that are due longest; no lock.

    Handovers are not among them.
    """
    query = (
        select(*_FIELDS, *[column.label(f"alert_{column.name}") for column in alerts.c])
        .join_from(alerts, timers, timers.c.alert_id == alerts.c.alert_id)
        .where(timers.c.due_at <= at, timers.c.kind != Kind.HANDOVER)
        .order_by(timers.c.due_at, timers.c.alert_id)
        .limit(limit)
    )
    if ids:
        query = query.where(timers.c.alert_id.in_(ids))
    width = len(_FIELDS)
    return [(Timer(*row[:width]), Alert(*row[width:])) for row in await conn.execute(query)]
