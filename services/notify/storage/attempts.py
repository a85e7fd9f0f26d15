"""Attempts: the claims on what is due, the leases while it is tried, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection

from chassis.outbox import Event
from chassis.recordset import recordset
from services.notify.domain.contact_method import Channel, Severity
from services.notify.domain.delivery import Claimed, Outcome
from services.notify.domain.route import RouteLog
from services.notify.domain.vault import Kept
from services.notify.storage import contact_methods, routes

HOST: LiteralString = "case channel when 'WEBHOOK' then split_part(address, '/', 3) else channel end"
"""What endpoints have in common: a host of webhooks, the server that takes all e-mail, those of chats."""


def host(route: RouteLog) -> str:
    """The same of a route log."""
    return route.address.split("/", 3)[2] if route.channel is Channel.WEBHOOK else route.channel


def claimed_columns(table: str) -> str:
    """What an attempt needs to know, of a table of route logs joined by `joined`; `claimed` takes it."""
    return f"""{routes.names(table)},
    case {table}.kind when 'NEWS' then a.settled_alert else p.alert end, p.reason, p.level, p.accepted_at, m.enabled,
    coalesce(m.disabled_reason, ''), p.severity, coalesce(m.bundle_window, '0'), coalesce(m.per_minute, 0),
    coalesce(a.settled_type, ''), coalesce(m.quiet_hours, '[]'), m.sealed_address, m.sealed_secret, m.old_secret,
    m.old_secret_until"""


def joined(table: str) -> str:
    """The rows that belong to a table of route logs."""
    return f"""join pages p on p.execution_id = {table}.execution_id
    left join contact_methods m on m.contact_method_id = {table}.contact_method_id
    left join alerts a on a.alert_id = {table}.alert_id and {table}.kind = 'NEWS'"""


_DUE: LiteralString = f"""r.status = 'PENDING' and r.due_at <= %(now)s and r.address <> all (%(full)s::text[])
    and {HOST} <> all (%(full_hosts)s::text[])
    and (r.bundle_id is null or not exists (
        select from route_logs b where b.bundle_id = r.bundle_id and b.status = 'PENDING' and b.due_at <= %(now)s
            and b.route_log_id < r.route_log_id))"""

_CLAIM: LiteralString = f"""
with recursive front as materialized (
    select route_log_id, address, due_at, {HOST} as host from route_logs r where {_DUE} order by due_at limit %(scan)s
), methods (name) as (
    (select contact_method_id from route_logs where due_at is not null and (select count(*) from front) >= %(scan)s
        order by contact_method_id limit 1)
    union all
    select (select contact_method_id from route_logs where due_at is not null and contact_method_id > methods.name
        order by contact_method_id limit 1) from methods where name is not null
), due as (
    select * from front
    union select of_each.* from (select name from methods where name is not null limit %(scan)s) m cross join lateral (
        select route_log_id, address, due_at, {HOST} as host from (
            select * from route_logs where contact_method_id = m.name and due_at is not null
            order by route_log_id limit 4 * %(room)s) r
        where {_DUE}) of_each
), ranked as (
    select due.*, room, coalesce(busy, 0) as busy, row_number() over (partition by address order by due_at) as place
    from due left join json_to_recordset(%(rooms)s::json) as given (address text, room int, busy int) using (address)
), waiting as materialized (
    select ranked.*, row_number() over (partition by host order by place + busy, due_at) as host_place
    from ranked where place <= coalesce(room, %(room)s)
), chosen as materialized (
    select route_logs.route_log_id, bundle_id from route_logs join waiting using (route_log_id)
    left join json_to_recordset(%(host_rooms)s::json) as host_room (host text, room int) using (host)
    where host_place <= coalesce(host_room.room, %(host_room)s)
        and status = 'PENDING' and route_logs.due_at <= %(now)s
    order by place + busy, waiting.due_at limit %(limit)s for update of route_logs skip locked
), together as (
    select route_log_id from chosen
    union all select b.route_log_id from chosen join route_logs b using (bundle_id)
    where b.route_log_id <> chosen.route_log_id and b.status = 'PENDING' and b.due_at <= %(now)s
), claimed as (
    update route_logs set attempts = attempts + 1, due_at = %(until)s
    from together where route_logs.route_log_id = together.route_log_id returning route_logs.*
)
select {claimed_columns("claimed")} from claimed {joined("claimed")}"""
"""Of a bundle one row is chosen, the first, and the others come along: no two processes get a part of one each.

Where more is due than is scanned, the first few of each method are looked at besides, found by an index step each: what is due
behind a storm is seen at once.
"""

_NEXT_DUE: LiteralString = """
select due_at from route_logs where status = 'PENDING' and due_at > %(now)s order by due_at limit 1"""

_RECORD: LiteralString = """
with given as materialized (
    select * from json_to_recordset(%(outcomes)s::json) as g (
        route_log_id uuid, attempts int, status text, sent_at timestamptz, last_error text, due_at timestamptz,
        fail_over_at timestamptz, method text, disable text)
    order by route_log_id
), locked as materialized (
    select r.route_log_id, r.status, r.attempts, r.sent_at from route_logs r join given using (route_log_id)
    order by r.route_log_id for update of r
), moved as (
    update route_logs r set
        status = g.status, sent_at = g.sent_at, last_error = g.last_error, due_at = g.due_at,
        fail_over_at = g.fail_over_at
    from given g join locked l using (route_log_id)
    where r.route_log_id = g.route_log_id and case g.status
        when 'SENT' then l.status in ('PENDING', 'CANCELLED')
        else l.status = 'PENDING' and l.attempts = g.attempts end
    returning r.route_log_id
), disabled as (
    update contact_methods m set enabled = false, disabled_reason = g.disable
    from given g join moved using (route_log_id)
    where g.disable <> '' and m.contact_method_id = g.method and m.enabled
)
insert into outbox (id, type, subject, data, at, trace_parent)
select e.id, e.type, e.subject, decode(e.data, 'base64'), e.at, e.trace_parent
from json_to_recordset(%(events)s::json) as e (
    id uuid, type text, subject text, data text, at timestamptz, trace_parent text)
join moved on moved.route_log_id = e.subject::uuid"""


_HUSH: LiteralString = """
with given as materialized (
    select * from json_to_recordset(%(routes)s::json) as g (
        route_log_id uuid, attempts int, due_at timestamptz, decision text, fail_over_at timestamptz,
        expires_at timestamptz, bundle_id uuid)
), held as materialized (
    select route_log_id from route_logs r join given g using (route_log_id)
    where r.status = 'PENDING' and r.attempts = g.attempts + 1 and r.bundle_id is not distinct from g.bundle_id
    order by route_log_id for update of r
)
update route_logs r set attempts = g.attempts, due_at = g.due_at, decision = g.decision, fail_over_at = g.fail_over_at,
    expires_at = g.expires_at
from given g join held using (route_log_id) where r.route_log_id = g.route_log_id"""


_EXTEND: LiteralString = """
with held as materialized (
    select route_log_id from route_logs r join unnest(%(ids)b::uuid[], %(attempts)b::int[]) as h (id, attempt)
        on r.route_log_id = h.id and r.attempts = h.attempt
    where status = 'PENDING' order by route_log_id for update of r
)
update route_logs set due_at = %(until)s from held where route_logs.route_log_id = held.route_log_id
returning route_logs.route_log_id"""


@dataclass(frozen=True, slots=True)
class Room:
    """How many more attempts a deliverer can make: `total` in all, `each` per address unless `by_address` says.

    `busy` are those that each address has under way. `each_host` and `by_host` say the same as for addresses of hosts.
    """

    total: int
    each: int
    by_address: Mapping[str, int]
    busy: Mapping[str, int]
    each_host: int
    by_host: Mapping[str, int]


async def claim(
    conn: RawConnection, *, now: datetime, lease: timedelta, room: Room, scan: int
) -> list[Claimed]:
    """Claims what is due for this process alone, until the lease ends; hot.

    Looks at the `scan` rows that are due longest. Where addresses compete, the one with the fewest attempts goes first.
    """
    rooms = [
        {"address": address, "room": left, "busy": room.busy.get(address, 0)}
        for address in {*room.by_address, *room.busy}
        if (left := room.by_address.get(address, room.each)) > 0
    ]
    hosts = [{"host": one, "room": left} for one, left in room.by_host.items() if left > 0]
    found = await conn.execute(
        _CLAIM,
        {
            "now": now,
            "until": now + lease,
            "full": [address for address, left in room.by_address.items() if left <= 0],
            "full_hosts": [one for one, left in room.by_host.items() if left <= 0],
            "rooms": recordset(rooms),
            "room": room.each,
            "host_rooms": recordset(hosts),
            "host_room": room.each_host,
            "limit": room.total,
            "scan": scan,
        },
    )
    return [claimed(row) for row in await found.fetchall()]


async def next_due(conn: RawConnection, now: datetime) -> datetime | None:
    """When the next row becomes due that is not due yet."""
    row = await (await conn.execute(_NEXT_DUE, {"now": now})).fetchone()
    return row[0] if row else None


async def extend(conn: RawConnection, held: Mapping[UUID, int], until: datetime) -> set[UUID]:
    """Makes leases, given by route log and attempt, last until then; answers which are still held."""
    parameters = {"ids": list(held), "attempts": list(held.values()), "until": until}
    rows = await conn.execute(_EXTEND, parameters)
    return {row[0] for row in await rows.fetchall()}


async def hush(conn: RawConnection, routes: Sequence[RouteLog]) -> None:
    """Gives back claims on pages that wait for quiet hours to end, with what was decided about them.

    One that another replica has let through meanwhile, or that was cancelled, stays as it is.
    """
    await conn.execute(_HUSH, {"routes": recordset(map(_hushed, routes))})


async def record(conn: RawConnection, outcomes: Sequence[Outcome], events: Sequence[Event]) -> None:
    """Writes what became of attempts, and their events; hot.

    The count of attempts fences: an attempt whose lease another process has taken over changes nothing, unless it was sent. A page cancelled while
    it was under way counts as sent when it was. The events' subjects are the route logs' ids.
    """
    await conn.execute(
        _RECORD,
        {
            "outcomes": recordset(map(_outcome, outcomes)),
            "events": recordset(events),
        },
    )


def claimed(row: Sequence[Any]) -> Claimed:
    """A row of `claimed_columns`."""
    route = routes.of_row(row)
    alert, reason, level, at, enabled, disabled, severity, window, per_minute, news, quiet, *kept = row[
        routes.WIDTH :
    ]
    return Claimed(
        route=route,
        alert=alert,
        reason=reason,
        level=level,
        accepted_at=at,
        enabled=enabled,
        disabled_reason=disabled,
        kept=Kept(route.contact_method_id, route.address, *kept),
        severity=Severity(severity),
        bundle_window=window,
        per_minute=per_minute,
        news=news,
        quiet_hours=contact_methods.quiet_hours(quiet) if quiet else (),
    )


def _outcome(outcome: Outcome) -> dict[str, Any]:
    route = outcome.route
    return {
        "route_log_id": route.route_log_id,
        "attempts": route.attempts,
        "status": route.status,
        "sent_at": route.sent_at,
        "last_error": route.last_error,
        "due_at": route.due_at,
        "fail_over_at": route.fail_over_at,
        "method": route.contact_method_id,
        "disable": outcome.disable,
    }


def _hushed(route: RouteLog) -> dict[str, Any]:
    return {
        "route_log_id": route.route_log_id,
        "attempts": route.attempts,
        "due_at": route.due_at,
        "decision": route.decision,
        "fail_over_at": route.fail_over_at,
        "expires_at": route.expires_at,
        "bundle_id": route.bundle_id,
    }
