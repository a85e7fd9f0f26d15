"""Lanes: what has gone by limited methods, which of their pages wait, and what was decided about these."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import class_row

from chassis.recordset import recordset
from services.notify.domain.delivery import Claimed
from services.notify.domain.load import Lane
from services.notify.domain.route import RouteLog
from services.notify.storage import attempts

_OPEN: LiteralString = """
insert into lanes (lane, tokens, filled_at, gathers_until, critical_from)
select lane, 1e9, %(now)s, %(now)s, %(now)s from unnest(%(lanes)s::text[]) lane order by lane
on conflict do nothing"""
_LOCK: LiteralString = "select * from lanes where lane = any (%s::text[]) order by lane for update"
_WRITE: LiteralString = """
update lanes set tokens = l.tokens, filled_at = l.filled_at, gathers_until = l.gathers_until,
    critical_from = l.critical_from
from json_to_recordset(%s::json) as l (
    lane text, tokens float8, filled_at timestamptz, gathers_until timestamptz, critical_from timestamptz)
where lanes.lane = l.lane"""
_WHOSE_TURN: LiteralString = """
contact_method_id = any (%(methods)s::text[]) and status = 'PENDING' and due_at is not null and bundle_id is null
    and (route_log_id = any (%(claimed)s::uuid[]) or due_at <= %(now)s and attempts = 0
        or attempts = 1 and decision in ('BUNDLED', 'RATE_LIMITED'))"""
_WAITING: LiteralString = f"""
with found as materialized (
    select route_log_id from route_logs where {_WHOSE_TURN}
    order by route_log_id <> all (%(claimed)s::uuid[]), route_log_id limit %(limit)s
), waiting as materialized (
    select * from route_logs where route_log_id in (select route_log_id from found) and {_WHOSE_TURN}
    order by route_log_id for update
)
select {attempts.claimed_columns("waiting")} from waiting {attempts.joined("waiting")} order by waiting.route_log_id"""
"""A row that another replica is just claiming is waited for: it travels with the others. Locked by id, as everywhere."""
_SETTLE: LiteralString = """
update route_logs set due_at = s.due_at, attempts = s.attempts, decision = s.decision, bundle_id = s.bundle_id,
    fail_over_at = s.fail_over_at, expires_at = s.expires_at
from json_to_recordset(%s::json) as s (
    route_log_id uuid, due_at timestamptz, attempts int, decision text, bundle_id uuid, fail_over_at timestamptz,
    expires_at timestamptz)
where route_logs.route_log_id = s.route_log_id"""


async def lock(conn: RawConnection, lanes: Collection[str], now: datetime) -> Mapping[str, Lane]:
    """The lanes with these names, made where they are new, while nobody else decides about them."""
    names = sorted(lanes)
    await conn.execute(_OPEN, {"lanes": names, "now": now})
    async with conn.cursor(row_factory=class_row(Lane)) as cursor:
        await cursor.execute(_LOCK, [names])
        return {lane.lane: lane for lane in await cursor.fetchall()}


async def write(conn: RawConnection, lanes: Collection[Lane]) -> None:
    """Writes lanes that are locked."""
    await conn.execute(_WRITE, [recordset(lanes)])


async def waiting(
    conn: RawConnection, methods: Collection[str], claimed: Collection[UUID], now: datetime, limit: int
) -> list[Claimed]:
    """What this process has claimed, and what else is due by these methods and was never sent, by id.

    Among it what another replica has claimed and not decided about: it has to be admitted, under the same locks, so
    the other finds it decided.
    """
    parameters = {"methods": list(methods), "claimed": list(claimed), "now": now, "limit": limit}
    found = await conn.execute(_WAITING, parameters)
    return [attempts.claimed(row) for row in await found.fetchall()]


async def settle(conn: RawConnection, routes: Sequence[RouteLog]) -> None:
    """Writes what was decided about waiting pages."""
    decided = (
        {
            "route_log_id": route.route_log_id,
            "due_at": route.due_at,
            "attempts": route.attempts,
            "decision": route.decision,
            "bundle_id": route.bundle_id,
            "fail_over_at": route.fail_over_at,
            "expires_at": route.expires_at,
        }
        for route in routes
    )
    await conn.execute(_SETTLE, [recordset(decided)])
