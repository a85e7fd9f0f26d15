"""Noisy sources and the load of people."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.figures import Filter, Window
from services.sla.domain.reports import Load, Noise
from services.sla.storage.measures import SUMS
from services.sla.storage.measures import key as filed
from services.sla.storage.rollups import ASKED, covered

MOST = 1_000
"""People of whom the load is told."""

_SUMS = ("total", "acked", "timeout_escalated", "suppressed", "noise_suppressed")
_NOISY = text(
    f"""with parts as (
        select value, sign, {", ".join(f"rollups.{name}" for name in _SUMS)}
        from json_to_recordset(cast(:cells as json)) as cells
            (place int, sign int, grain text, start timestamptz, until timestamptz)
        join rollups on dimension = 'source' and severity = any (cast(:filed as text[])) and rollups.grain = cells.grain and starts_at >= cells.start and starts_at < cells.until
        union all
        select value, sign, {", ".join(f"rollup_changes.{name}" for name in _SUMS)}
        from json_to_recordset(cast(:hours as json)) as hours
            (place int, sign int, start timestamptz, until timestamptz)
        join rollup_changes on dimension = 'source' and {ASKED}
            and starts_at >= hours.start and starts_at < hours.until
        union all
        select {filed("source")}, sign, {", ".join(f"({SUMS[name].format(f='facts')})::int" for name in _SUMS)}
        from json_to_recordset(cast(:edges as json)) as edges
            (place int, sign int, start timestamptz, until timestamptz)
        cross join lateral (
            select * from facts where opened_at >= edges.start and opened_at < edges.until and {ASKED}
            offset 0) as facts),
    summed as (
        select value, {", ".join(f"sum(sign * {name})::bigint as {name}" for name in _SUMS)}
        from parts group by value)
    select * from summed where total + suppressed + noise_suppressed > 0
    order by total desc, suppressed + noise_suppressed desc, value limit :most"""
)
_LOAD = text(
    """with wall as (
        select responder_id, alert_id, sent_at at time zone :zone as at from pages
        where sent_at >= :start and sent_at < :until),
    placed as (
        select responder_id, alert_id, at, extract(hour from at) >= 22 or extract(hour from at) < 7 as night,
            extract(isodow from at) >= 6 as weekend
        from wall)
    select responder_id, count(*) as pages, count(*) filter (where night) as night_pages,
        count(*) filter (where weekend) as weekend_pages,
        count(distinct (at - interval '12 hours')::date) filter (where night) as nights_disturbed,
        count(distinct alert_id) as alerts
    from placed group by responder_id order by pages desc, responder_id limit :most"""
)


async def noisy(conn: AsyncConnection, window: Window, wanted: Filter, *, limit: int) -> list[Noise]:
    """The sources of most alerts of the window and the severities, from rollups and the facts at its edges."""
    rows = await conn.execute(_NOISY, {**covered([window], wanted, "source", ""), "most": limit})
    return [
        Noise(
            source=row["value"],
            total=row["total"],
            timeout_escalated=row["timeout_escalated"],
            suppressed=row["suppressed"],
            noise_suppressed=row["noise_suppressed"],
            unacked=row["total"] - row["acked"],
        )
        for row in rows.mappings()
    ]


async def loads(conn: AsyncConnection, window: Window, zone: str) -> list[Load]:
    """How often people were paged in the window, the most loaded first."""
    said = {"start": window.start, "until": window.end, "zone": zone, "most": MOST}
    return [Load(**row) for row in (await conn.execute(_LOAD, said)).mappings()]
