"""Statements on people whom nothing reaches, and on the alerts of which nobody was reached."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Uuid

from services.escalation.domain.news import OutOfReach
from services.escalation.tables.alerts import unreached


class Unheard(NamedTuple):
    """An alert whose newest step reached nobody: whether an earlier one did, and whether it was the catch-all."""

    heard: bool
    catch_all: bool


_UNHEARD = text(
    """select alert_id, catch_all, exists (
        select from executions step where step.alert_id = newest.alert_id and exists (
            select from unnest(step.recipients) person where not exists (
                select from unreached where unreached.execution_id = step.execution_id and responder_id = person))
    ) as heard
    from unnest(:alert_ids) wanted (id) cross join lateral (
        select * from executions step where step.alert_id = id order by execution_id desc limit 1) newest
    where recipients <> '{}' and recipients <@ array(
        select responder_id from unreached where unreached.execution_id = newest.execution_id)"""
).bindparams(bindparam("alert_ids", type_=ARRAY(Uuid)))


async def note(conn: AsyncConnection, news: Sequence[OutOfReach], now: datetime) -> None:
    """Keeps who is out of reach; what is known already stays as it is."""
    keys = sorted({(one.execution_id, one.responder_id) for one in news})
    rows = [{"execution_id": step, "responder_id": person, "at": now} for step, person in keys]
    await conn.execute(insert(unreached).values(rows).on_conflict_do_nothing())


async def unheard(conn: AsyncConnection, alert_ids: Iterable[UUID]) -> dict[UUID, Unheard]:
    """Those of these alerts whose newest step has reached nobody."""
    rows = await conn.execute(_UNHEARD, {"alert_ids": list(alert_ids)})
    return {row.alert_id: Unheard(row.heard, row.catch_all) for row in rows}
