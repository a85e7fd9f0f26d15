"""Statements on the turns of levels that tell people one after the other."""

from collections.abc import Collection

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.turns import Turn
from services.escalation.tables.alerts import turns


async def lock(conn: AsyncConnection, keys: Collection[tuple[str, int]]) -> dict[tuple[str, int], Turn]:
    """Locks the turns of these levels, by policy, in the order of their keys, and makes those that there never were.

    Whoever locks alerts as well does that first: so nobody waits in a circle.
    """
    wanted = sorted(keys)
    if not wanted:
        return {}
    rows = [{"policy_id": policy_id, "level": level, "told": ()} for policy_id, level in wanted]
    await conn.execute(insert(turns).values(rows).on_conflict_do_nothing())
    query = (
        select(turns)
        .where(tuple_(turns.c.policy_id, turns.c.level).in_(wanted))
        .order_by(turns.c.policy_id, turns.c.level)
        .with_for_update()
    )
    return {(row.policy_id, row.level): Turn(*row) for row in await conn.execute(query)}


async def every(conn: AsyncConnection, policy_ids: Collection[str]) -> dict[tuple[str, int], Turn]:
    """The turns of all levels of these policies, without a lock."""
    query = select(turns).where(turns.c.policy_id.in_(policy_ids))
    return {(row.policy_id, row.level): Turn(*row) for row in await conn.execute(query)}
