"""Teams in the database."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Select, any_, delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.team import Team
from services.roster.tables import revisions, teams

COLUMNS = [teams.c[field.name] for field in fields(Team)]


async def add(conn: AsyncConnection, team: Team, request_id: str) -> bool:
    """Adds a team; False when the id or the request id is taken."""
    values = asdict(team) | {"request_id": request_id or None, "revision": revisions.next_value()}
    added = await conn.execute(
        insert(teams).values(values).on_conflict_do_nothing().returning(teams.c.team_id)
    )
    return added.one_or_none() is not None


async def find(conn: AsyncConnection, team_id: str, *, lock: bool = False) -> Team | None:
    """One team, locked until the end of the transaction when asked; None when there is none."""
    query = select(*COLUMNS).where(teams.c.team_id == team_id)
    return await _one(conn, query.with_for_update() if lock else query)


async def of_request(conn: AsyncConnection, request_id: str) -> Team | None:
    """The team that this request made before; None when there is none."""
    if not request_id:
        return None
    return await _one(conn, select(*COLUMNS).where(teams.c.request_id == request_id))


async def page(conn: AsyncConnection, responder_id: str, after: str, limit: int) -> Sequence[Team]:
    """Up to `limit` teams by id, after the one named; those that a person is in when one is named."""
    query = select(*COLUMNS).where(teams.c.team_id > after).order_by(teams.c.team_id)
    if responder_id:
        query = query.where(_names(responder_id))
    return [Team(**row._asdict()) for row in await conn.execute(query.limit(limit))]


async def naming(conn: AsyncConnection, responder_id: str) -> Sequence[str]:
    """The ids of the teams that a person is in."""
    query = select(teams.c.team_id).where(_names(responder_id)).order_by(teams.c.team_id)
    return (await conn.execute(query)).scalars().all()


async def change(conn: AsyncConnection, team: Team) -> None:
    """Writes the values of a team that exists."""
    values = asdict(team) | {"revision": revisions.next_value()}
    await conn.execute(update(teams).where(teams.c.team_id == team.team_id).values(values))


async def remove(conn: AsyncConnection, team_id: str) -> bool:
    """Removes a team; False when there is none."""
    gone = await conn.execute(delete(teams).where(teams.c.team_id == team_id))
    return gone.rowcount == 1


def _names(responder_id: str) -> ColumnElement[bool]:
    return literal(responder_id) == any_(teams.c.responder_ids)


async def _one(conn: AsyncConnection, query: Select[Any]) -> Team | None:
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Team(**row._asdict())
