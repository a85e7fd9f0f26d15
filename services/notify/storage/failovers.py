"""Which ways to people have not worked in time, and what was decided about them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, Uuid, column, func, select, tuple_, update, values
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.contact_method import Severity
from services.notify.domain.decision import Decision
from services.notify.domain.quiet_hours import QuietHours
from services.notify.domain.route import RouteLog, Status
from services.notify.storage import contact_methods as methods
from services.notify.tables import contact_methods, exhaustions, pages, route_logs

Step = tuple[UUID, str]
"""One person of one escalation step: the execution's id and the responder's."""


async def due(conn: AsyncConnection, now: datetime, limit: int) -> set[Step]:
    """The people for whom a way has not worked in time."""
    query = (
        select(route_logs.c.execution_id, route_logs.c.responder_id)
        .where(route_logs.c.fail_over_at <= now)
        .order_by(route_logs.c.fail_over_at)
        .limit(limit)
    )
    return {(row.execution_id, row.responder_id) for row in await conn.execute(query)}


async def next_at(conn: AsyncConnection) -> datetime | None:
    """When the next way will not have worked in time."""
    query = select(route_logs.c.fail_over_at).where(route_logs.c.fail_over_at.is_not(None))
    found: datetime | None = (await conn.execute(query.order_by(route_logs.c.fail_over_at).limit(1))).scalar()
    return found


async def lock(conn: AsyncConnection, steps: Collection[Step]) -> Mapping[Step, Sequence[RouteLog]]:
    """Every route log of these people, while nobody else decides about the same escalation steps."""
    executions = {execution_id for execution_id, _ in steps}
    locking = select(pages.c.execution_id).where(pages.c.execution_id.in_(executions))
    await conn.execute(locking.order_by(pages.c.execution_id).with_for_update())
    query = select(route_logs).where(
        tuple_(route_logs.c.execution_id, route_logs.c.responder_id).in_(list(steps))
    )
    found: dict[Step, list[RouteLog]] = defaultdict(list)
    for row in await conn.execute(query):
        found[row.execution_id, row.responder_id].append(RouteLog(**row._asdict()))
    return found


async def quiet_hours(
    conn: AsyncConnection, steps: Collection[Step]
) -> Mapping[UUID, tuple[QuietHours, ...]]:
    """The quiet hours that ways which were not tried yet have to keep, by route log: those of their methods as they are now."""
    query = (
        select(route_logs.c.route_log_id, contact_methods.c.quiet_hours)
        .join(pages, pages.c.execution_id == route_logs.c.execution_id)
        .join(contact_methods, contact_methods.c.contact_method_id == route_logs.c.contact_method_id)
        .where(
            tuple_(route_logs.c.execution_id, route_logs.c.responder_id).in_(list(steps)),
            route_logs.c.status == Status.PENDING,
            route_logs.c.attempts == 0,
            pages.c.severity != Severity.CRITICAL,
            func.jsonb_array_length(contact_methods.c.quiet_hours) > 0,
        )
    )
    return {row.route_log_id: methods.quiet_hours(row.quiet_hours) for row in await conn.execute(query)}


async def give_up(conn: AsyncConnection, given_up: Sequence[RouteLog], now: datetime) -> None:
    """Notes that these ways are not waited for any longer; what is under way by them goes on."""
    if given_up:
        ids = sorted(route.route_log_id for route in given_up)
        statement = update(route_logs).where(route_logs.c.route_log_id.in_(ids))
        await conn.execute(statement.values(fail_over_at=None, failed_over_at=now))


async def use(conn: AsyncConnection, ways: Sequence[RouteLog], now: datetime, patience: timedelta) -> None:
    """Makes ways due that are not tried yet."""
    if ways:
        statement = update(route_logs).where(
            route_logs.c.route_log_id.in_(sorted(route.route_log_id for route in ways)),
            route_logs.c.status == Status.PENDING,
            route_logs.c.attempts == 0,
        )
        await conn.execute(
            statement.values(due_at=now, fail_over_at=now + patience, decision=Decision.FAILED_OVER)
        )


async def postpone(conn: AsyncConnection, later: Sequence[tuple[RouteLog, datetime]]) -> None:
    """Looks at ways again at these instants."""
    if later:
        given = values(column("id", Uuid), column("at", DateTime(timezone=True)), name="given").data(
            [(route.route_log_id, at) for route, at in later]
        )
        statement = update(route_logs).where(
            route_logs.c.route_log_id == given.c.id, route_logs.c.status == Status.PENDING
        )
        await conn.execute(statement.values(fail_over_at=given.c.at))


async def exhaust(conn: AsyncConnection, steps: Collection[Step], now: datetime) -> set[Step]:
    """Notes that these people could not be reached; answers for whom that is new."""
    if not steps:
        return set()
    rows = [{"execution_id": e, "responder_id": r, "at": now} for e, r in sorted(steps)]
    statement = upsert(exhaustions).values(rows).on_conflict_do_nothing()
    told = await conn.execute(statement.returning(exhaustions.c.execution_id, exhaustions.c.responder_id))
    return {(row.execution_id, row.responder_id) for row in told}
