"""Contact methods: what people configure, and what a page looks up."""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import datetime, time
from typing import Any, LiteralString

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import dict_row
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.contact_method import Channel, ContactMethod, Severity
from services.notify.domain.quiet_hours import QuietHours
from services.notify.domain.route import Status
from services.notify.tables import contact_methods, route_logs

_OF_RESPONDERS: LiteralString = """
select contact_method_id, responder_id, channel, address, enabled, min_severity, delay, disabled_reason,
    request_id, created_at, "order", quiet_hours, notify_on_resolve, verified_at, sealed_address, sealed_secret,
    old_secret, old_secret_until, bundle_window, per_minute
from contact_methods where responder_id = any (%b::text[]) order by contact_method_id"""

_FAILING: LiteralString = """
select distinct f.contact_method_id from route_logs f
where f.status = 'FAILED' and f.created_at >= %(since)s and not exists (
    select from route_logs l where l.responder_id = f.responder_id and l.contact_method_id = f.contact_method_id
        and l.created_at > f.created_at and l.status in ('SENT', 'DELIVERED', 'READ', 'ACKNOWLEDGED'))"""


async def create(conn: AsyncConnection, method: ContactMethod) -> bool:
    """Whether the method was created; False when its id or request id is taken."""
    statement = upsert(contact_methods).values(columns(method)).on_conflict_do_nothing()
    made = await conn.execute(statement.returning(contact_methods.c.contact_method_id))
    return made.scalar() is not None


async def get(conn: AsyncConnection, contact_method_id: str, *, lock: bool = False) -> ContactMethod | None:
    """The method with this id; locked against other changes when asked to."""
    query = select(contact_methods).where(contact_methods.c.contact_method_id == contact_method_id)
    row = (await conn.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else _method(row._asdict())


async def requested(conn: AsyncConnection, request_id: str) -> ContactMethod | None:
    """The method that an earlier call with this request id created."""
    query = select(contact_methods).where(contact_methods.c.request_id == request_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else _method(row._asdict())


async def find(
    conn: AsyncConnection, *, responder_id: str, channel: Channel | None, after: str | None, limit: int
) -> list[ContactMethod]:
    """Methods in the order of their ids, after the given id."""
    query = select(contact_methods).order_by(contact_methods.c.contact_method_id).limit(limit)
    if responder_id:
        query = query.where(contact_methods.c.responder_id == responder_id)
    if channel is not None:
        query = query.where(contact_methods.c.channel == channel)
    if after is not None:
        query = query.where(contact_methods.c.contact_method_id > after)
    return [_method(row._asdict()) for row in await conn.execute(query)]


async def of_responders(conn: RawConnection, responder_ids: Sequence[str]) -> list[ContactMethod]:
    """Every method of these people, in the order of the ids; hot."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_OF_RESPONDERS, [list(responder_ids)])
        return [_method(row) for row in await cursor.fetchall()]


async def to_reseal(
    conn: AsyncConnection, *, prefix: bytes, now: datetime, after: str, limit: int
) -> list[ContactMethod]:
    """Methods with something sealed by another key than the first, or not needed any more; locked.

    In the order of their ids, after the given one; what another replica is at is left to it.
    """
    sealed = (contact_methods.c.sealed_address, contact_methods.c.sealed_secret, contact_methods.c.old_secret)
    query = (
        select(contact_methods)
        .where(
            or_(
                contact_methods.c.old_secret_until <= now,
                *(func.substring(column, 1, len(prefix)) != prefix for column in sealed),
            ),
            contact_methods.c.contact_method_id > after,
        )
        .order_by(contact_methods.c.contact_method_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return [_method(row._asdict()) for row in await conn.execute(query)]


async def failing(conn: RawConnection, since: datetime) -> frozenset[str]:
    """The methods whose latest page of those since then that came to an end has failed."""
    rows = await (await conn.execute(_FAILING, {"since": since})).fetchall()
    return frozenset(row[0] for row in rows)


async def change(conn: AsyncConnection, method: ContactMethod, names: Iterable[str]) -> None:
    """Writes the named columns of a method."""
    values = columns(method)
    statement = update(contact_methods).where(contact_methods.c.contact_method_id == method.contact_method_id)
    await conn.execute(statement.values({name: values[name] for name in names}))


async def remove(conn: AsyncConnection, contact_method_id: str, reason: str) -> bool:
    """Deletes a method and cancels what is not sent by it yet; False when there is none."""
    gone = await conn.execute(
        delete(contact_methods).where(contact_methods.c.contact_method_id == contact_method_id)
    )
    if gone.rowcount == 0:
        return False
    waiting = update(route_logs).where(
        route_logs.c.contact_method_id == contact_method_id, route_logs.c.status == Status.PENDING
    )
    await conn.execute(
        waiting.values(status=Status.CANCELLED, due_at=None, fail_over_at=None, last_error=reason)
    )
    return True


def columns(method: ContactMethod) -> dict[str, Any]:
    """A method as its row has it."""
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    return values | {"quiet_hours": [_quiet(hours) for hours in method.quiet_hours]}


def _quiet(hours: QuietHours) -> dict[str, Any]:
    return {
        "start": hours.start.isoformat("minutes"),
        "end": hours.end.isoformat("minutes"),
        "time_zone": hours.time_zone,
        "weekdays": sorted(hours.weekdays),
    }


def quiet_hours(kept: Iterable[dict[str, Any]]) -> tuple[QuietHours, ...]:
    """Quiet hours as their column has them."""
    return tuple(
        QuietHours(
            time.fromisoformat(hours["start"]),
            time.fromisoformat(hours["end"]),
            hours["time_zone"],
            frozenset(hours["weekdays"]),
        )
        for hours in kept
    )


def _method(row: dict[str, Any]) -> ContactMethod:
    named = {"channel": Channel(row["channel"]), "min_severity": Severity(row["min_severity"])}
    return ContactMethod(**{**row, **named, "quiet_hours": quiet_hours(row["quiet_hours"])})
