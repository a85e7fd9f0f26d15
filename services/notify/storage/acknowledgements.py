"""What escalation must still be told because somebody acknowledged by a page."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.tables import acknowledgements


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One acknowledgement by a page; `due_at` is when escalation is asked next, None once it has answered."""

    route_log_id: UUID
    alert_id: UUID
    responder_id: str
    note: str
    attempts: int
    due_at: datetime | None
    answered_at: datetime | None
    answer: str


async def claim(
    conn: AsyncConnection, *, now: datetime, until: datetime, limit: int
) -> list[Acknowledgement]:
    """Takes what is due for this process alone, until the given instant."""
    due = (
        select(acknowledgements.c.route_log_id)
        .where(acknowledgements.c.due_at <= now)
        .order_by(acknowledgements.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    statement = (
        update(acknowledgements)
        .where(acknowledgements.c.route_log_id.in_(due))
        .values(due_at=until, attempts=acknowledgements.c.attempts + 1)
        .returning(acknowledgements)
    )
    return [Acknowledgement(**row._asdict()) for row in await conn.execute(statement)]


async def give_back(conn: AsyncConnection, taken: Iterable[Acknowledgement], *, now: datetime) -> None:
    """Ends claims as if they had not been made; what has another by now, or its answer, stays as it is."""
    mine = tuple_(acknowledgements.c.route_log_id, acknowledgements.c.due_at).in_(
        [(one.route_log_id, one.due_at) for one in taken]
    )
    statement = update(acknowledgements).where(mine)
    await conn.execute(statement.values(due_at=now, attempts=acknowledgements.c.attempts - 1))


async def next_due(conn: AsyncConnection) -> datetime | None:
    """When escalation must be asked next."""
    found: datetime | None = (await conn.execute(select(func.min(acknowledgements.c.due_at)))).scalar()
    return found


async def settle(
    conn: AsyncConnection, route_log_id: UUID, *, due_at: datetime | None, answer: str, now: datetime
) -> None:
    """Writes escalation's answer; with `due_at` it is asked again then, without it has answered for good."""
    statement = update(acknowledgements).where(
        acknowledgements.c.route_log_id == route_log_id, acknowledgements.c.answered_at.is_(None)
    )
    answered_at = now if due_at is None else None
    await conn.execute(statement.values(due_at=due_at, answer=answer, answered_at=answered_at))
