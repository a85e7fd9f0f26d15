"""Route logs: the delivery trail."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.notify.domain.contact_method import Channel
from services.notify.domain.decision import Decision
from services.notify.domain.route import Kind, RouteLog, Status
from services.notify.tables import route_logs

_FIELDS = tuple(RouteLog.__dataclass_fields__)
_MEMBERS = {
    _FIELDS.index(name): {str(one): one for one in kind}
    for name, kind in {"channel": Channel, "status": Status, "decision": Decision, "kind": Kind}.items()
}
WIDTH = len(_FIELDS)


def names(table: str) -> str:
    """The columns of a route log, in the order in which `of_row` takes them."""
    return ", ".join(f"{table}.{name}" for name in _FIELDS)


def of_row(row: Sequence[Any]) -> RouteLog:
    """The route log of a row that begins with the columns of `names`; for the hot statements."""
    values = list(row[:WIDTH])
    for place, members in _MEMBERS.items():
        values[place] = members[values[place]]
    return RouteLog(*values)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which route logs are asked for; empty values ask for all. The times are those of acceptance.

    What was skipped is found when its status is asked for, or with `skipped_too`.
    """

    alert_id: UUID | None = None
    responder_id: str = ""
    channel: Channel | None = None
    statuses: tuple[Status, ...] = ()
    execution_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None
    skipped_too: bool = False


async def get(conn: AsyncConnection, route_log_ids: Iterable[UUID], *, lock: bool = False) -> list[RouteLog]:
    """The route logs with these ids, in the order of the ids; locked against other changes when asked to."""
    query = (
        select(route_logs)
        .where(route_logs.c.route_log_id.in_(list(route_log_ids)))
        .order_by(route_logs.c.route_log_id)
    )
    rows = await conn.execute(query.with_for_update() if lock else query)
    return [RouteLog(**row._asdict()) for row in rows]


async def find(
    conn: AsyncConnection, wanted: Filter, *, before: tuple[datetime, UUID] | None, limit: int
) -> list[RouteLog]:
    """Route logs that match, the newest first, older than the one given by its moment and id."""
    query = select(route_logs).where(*_conditions(wanted))
    if before is not None:
        query = query.where(tuple_(route_logs.c.created_at, route_logs.c.route_log_id) < before)
    query = query.order_by(route_logs.c.created_at.desc(), route_logs.c.route_log_id.desc()).limit(limit)
    return [RouteLog(**row._asdict()) for row in await conn.execute(query)]


def _conditions(wanted: Filter) -> Iterable[ColumnElement[bool]]:
    if wanted.alert_id is not None:
        yield route_logs.c.alert_id == wanted.alert_id
    if wanted.responder_id:
        yield route_logs.c.responder_id == wanted.responder_id
    if wanted.channel is not None:
        yield route_logs.c.channel == wanted.channel
    if wanted.statuses:
        yield route_logs.c.status.in_(wanted.statuses)
    elif not wanted.skipped_too:
        yield route_logs.c.status != Status.SKIPPED
    if wanted.execution_id is not None:
        yield route_logs.c.execution_id == wanted.execution_id
    if wanted.start is not None:
        yield route_logs.c.created_at >= wanted.start
    if wanted.end is not None:
        yield route_logs.c.created_at < wanted.end
