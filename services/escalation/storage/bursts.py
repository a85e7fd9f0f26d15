"""Statements on the triggers that count for the repeat triggers of policies."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset


class Burst(NamedTuple):
    """Triggers that an open alert gets at once, and how long its policy counts them."""

    alert_id: UUID
    triggers: int
    window: timedelta


_COUNT = text(
    """with input as materialized (
        select alert_id, triggers, :now - "window" as since
        from json_to_recordset(:bursts) as input (alert_id uuid, triggers int, "window" interval)
    ), old as (
        delete from bursts using input where bursts.alert_id = input.alert_id and at <= since
    ), fresh as (
        select alert_id, cast(:now as timestamptz) as at, triggers from input
        union all
        select alert_id, opened_at, 1 from input join alerts using (alert_id)
        where opened_at > since and not exists (select from bursts where bursts.alert_id = input.alert_id)
    ), added as (
        insert into bursts (alert_id, at, triggers) select alert_id, at, sum(triggers) from fresh group by 1, 2
        on conflict (alert_id, at) do update set triggers = bursts.triggers + excluded.triggers
    )
    select alert_id, sum(triggers) as triggers from (
        select * from fresh
        union all
        select bursts.alert_id, at, bursts.triggers from bursts join input using (alert_id) where at > since
    ) counted group by alert_id"""
)

_START_ANEW = text(
    """with input as materialized (
        select * from json_to_recordset(:left) as input (alert_id uuid, triggers int)
    ), gone as (
        delete from bursts using input where bursts.alert_id = input.alert_id and at <> :now
    )
    insert into bursts (alert_id, at, triggers) select alert_id, :now, triggers from input
    on conflict (alert_id, at) do update set triggers = excluded.triggers"""
)


async def count(conn: AsyncConnection, bursts: Sequence[Burst], now: datetime) -> dict[UUID, int]:
    """Adds these triggers of alerts that are locked, and answers how many each has within its window.

    The one that opened the alert counts as well.
    """
    found = await conn.execute(_COUNT, {"bursts": recordset(one._asdict() for one in bursts), "now": now})
    return {row.alert_id: row.triggers for row in found}


async def start_anew(conn: AsyncConnection, left: Mapping[UUID, int], now: datetime) -> None:
    """Forgets the triggers of these alerts but for those that are left over."""
    over = ({"alert_id": alert_id, "triggers": triggers} for alert_id, triggers in left.items())
    await conn.execute(_START_ANEW, {"left": recordset(over), "now": now})
