"""Forgetting: pages and all that belongs to them, once nobody asks for them any more."""

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_PAGES = text(
    """
with old as materialized (
    select execution_id from pages where accepted_at < :before and not exists (
        select from route_logs r where r.execution_id = pages.execution_id and r.due_at is not null)
    order by accepted_at limit :limit for update skip locked
), routes as materialized (
    select route_log_id from route_logs join old using (execution_id)
), heard as (
    delete from receipts using routes where receipts.route_log_id = routes.route_log_id
), asked as (
    delete from acknowledgements using routes where acknowledgements.route_log_id = routes.route_log_id
), ended as (
    delete from exhaustions using old where exhaustions.execution_id = old.execution_id
), gone as (
    delete from route_logs using routes where route_logs.route_log_id = routes.route_log_id
)
delete from pages using old where pages.execution_id = old.execution_id"""
)
_ALERTS = text(
    """
delete from alerts where alert_id = any (array(
    select alert_id from alerts where touched_at < :before and not exists (
        select from pages where pages.alert_id = alerts.alert_id)
    limit :limit for update skip locked))"""
)
_LANES = text("delete from lanes where greatest(filled_at, gathers_until, critical_from) < :before")


async def pages(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forgets up to so many pages accepted before then, with their route logs, receipts and inbox items.

    One that still has something to be sent is kept. Answers how many.
    """
    return (await conn.execute(_PAGES, {"before": before, "limit": limit})).rowcount


async def alerts(conn: AsyncConnection, before: datetime, limit: int) -> int:
    """Forgets up to so many alerts that have no pages and that nothing was heard of since then; answers how many."""
    return (await conn.execute(_ALERTS, {"before": before, "limit": limit})).rowcount


async def lanes(conn: AsyncConnection, before: datetime) -> None:
    """Forgets lanes that have been idle since then: they are as new."""
    await conn.execute(_LANES, {"before": before})
