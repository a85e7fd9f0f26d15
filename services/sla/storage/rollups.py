"""Figures of periods, from rolled-up hours and days and the facts at their edges."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset
from services.sla.domain.cover import Part, cover
from services.sla.domain.figures import Filter, Overview, Statistics, Waiting, Window
from services.sla.domain.sketch import percentiles
from services.sla.storage.measures import COUNTED, MEASURES, TIMES, WIDTH, key, marks, measures

SHARES = (0.5, 0.9, 0.99)
"""The percentiles that `Statistics` has."""
FEW = 5_000
"""Alerts of a period up to which facts are asked: exact, and as fast."""

ASKED = """(cast(:severities as text[]) = '{}' or severity = any (cast(:severities as text[])))"""
"""The condition on severities that a filter makes."""
MATCHING = f"""opened_at is not null and {ASKED}
    and (cast(:policy_id as text) = '' or policy_id = cast(:policy_id as text))
    and (cast(:source as text) = '' or source = cast(:source as text))
    and (cast(:schedule_id as text) = '' or cast(:schedule_id as text) = any (schedules))
    and (cast(:responder_id as text) = '' or cast(:responder_id as text) = any (responders))
    and (cast(:labels as jsonb) = '{{}}' or labels @> cast(:labels as jsonb))"""
"""The condition on facts that a filter makes; `asked` gives its parameters."""

_EPOCH = "timestamptz '1970-01-01 00:00:00+00'"
_FROM_CELLS = f"""{", ".join(f"sign * {name} as {name}" for name in COUNTED)},
    sign * (unacked_us + unacked * (extract(epoch from {{t}}.starts_at) * 1000000)::bigint) as unacked_us"""

_EDGES = ", ".join(
    f"sum(sign * ({sql})) as {name}" for name, sql in zip(MEASURES, measures("facts", _EPOCH), strict=True)
)
_FROM_ROLLUPS = text(
    f"""with parts as materialized (
        select place, {_FROM_CELLS.format(t="rollups")}, sign, codes, counts
        from json_to_recordset(cast(:cells as json)) as cells
            (place int, sign int, grain text, start timestamptz, until timestamptz)
        cross join lateral unnest(cast(:filed as text[])) as filed
        cross join lateral (
            select * from rollups where dimension = :dimension and value = {key("cast(:value as text)")}
            and severity = filed and grain = cells.grain and starts_at >= cells.start and starts_at < cells.until
            offset 0) as rollups
        union all
        select place, {_FROM_CELLS.format(t="rollup_changes")}, sign, codes, counts
        from json_to_recordset(cast(:hours as json)) as hours
            (place int, sign int, start timestamptz, until timestamptz)
        cross join lateral (
            select * from rollup_changes where dimension = :dimension and value = {key("cast(:value as text)")}
            and {ASKED} and starts_at >= hours.start and starts_at < hours.until offset 0) as rollup_changes
        union all
        select place, {_EDGES}, sign, {marks("facts")}, null
        from json_to_recordset(cast(:edges as json)) as edges
            (place int, sign int, start timestamptz, until timestamptz)
        cross join lateral (
            select * from facts where opened_at >= edges.start and opened_at < edges.until and {MATCHING}
            offset 0) as facts
        group by place, sign, start),
    summed as (
        select place, {", ".join(f"sum({name}) as {name}" for name in MEASURES)} from parts group by place),
    buckets as (
        select place, array_agg(code) as codes, array_agg(held) as counts from (
            select place, code, sum(sign * coalesce(count, 1)) as held from (
                select place, sign, unnest(codes) as code, unnest(counts)::int as count from parts) as opened
            group by place, code) counted
        where held <> 0 group by place)
    select * from summed left join buckets using (place)"""
)
"""An edge has its codes one by one, without counts."""

_PERCENTILES = ", ".join(
    f"percentile_cont(array{list(SHARES)}) within group (order by date_part('epoch', {at} - opened_at))"
    f" filter (where opened) as {name.removesuffix('us')}shares"
    for name, at in TIMES.items()
)
_FROM_FACTS = text(
    f"""select place, {_PERCENTILES},
        {", ".join(f"sum({sql}) as {name}" for name, sql in zip(MEASURES, measures("facts", _EPOCH), strict=True))}
    from json_to_recordset(cast(:windows as json)) as windows (place int, start timestamptz, until timestamptz)
    cross join lateral (
        select * from facts where opened_at >= windows.start and opened_at < windows.until and {MATCHING}
        offset 0) as facts
    group by place"""
)
_FEW = text(
    """select count(*) <= :few from (
        select from facts where opened_at >= :start and opened_at < :until limit :few + 1) as known"""
)
_OLDEST = text(
    f"""select min(opened_at) from facts
    where opened and acked_at is null and closed_at is null and opened_at >= :start and opened_at < :until and {MATCHING}"""
)


def asked(wanted: Filter) -> dict[str, object]:
    """The parameters of MATCHING."""
    return {
        "severities": sorted(wanted.severities),
        "policy_id": wanted.policy_id,
        "source": wanted.source,
        "schedule_id": wanted.schedule_id,
        "responder_id": wanted.responder_id,
        "labels": json.dumps(dict(wanted.labels)),
    }


async def figures(
    conn: AsyncConnection, windows: Sequence[Window], wanted: Filter, *, now: datetime, few: int = FEW
) -> list[Overview]:
    """The figures of the alerts that opened in each of the windows, which follow one another, and are wanted.

    From rollups, percentiles within 1 %; from the facts, exact, where there are `few` of them or the filter names more
    than one of what is rolled up beside severities.
    """
    whole = {"start": windows[0].start, "until": windows[-1].end}
    if wanted.cell is None or (await conn.execute(_FEW, {"few": few, **whole})).scalar_one():
        said = [_part(place, Part(1, window)) for place, window in enumerate(windows)]
        found = await conn.execute(_FROM_FACTS, {"windows": recordset(said), **asked(wanted)})
    else:
        found = await conn.execute(_FROM_ROLLUPS, covered(windows, wanted, *wanted.cell))
    rows = {row["place"]: row for row in found.mappings()}
    return [_overview(rows[place], now) if place in rows else Overview() for place in range(len(windows))]


def covered(windows: Sequence[Window], wanted: Filter, dimension: str, value: str) -> dict[str, object]:
    """The cells, and the facts at the edges, of which the windows are put together."""
    cells, hours, edges = [], [], []
    for place, window in enumerate(windows):
        whole = cover(window)
        edges += [_part(place, edge) for edge in whole.edges]
        cells += [_part(place, part) | {"grain": part.grain} for part in whole.cells]
        hours += [_part(place, Part(1, whole.hours))] if whole.hours else []
    return {
        "cells": recordset(cells),
        "hours": recordset(hours),
        "edges": recordset(edges),
        "dimension": dimension,
        "value": value,
        "filed": sorted(wanted.severities) or [""],
        **asked(wanted),
    }


async def oldest_unacked(conn: AsyncConnection, window: Window, wanted: Filter) -> datetime | None:
    """When the oldest alert of the window opened that is neither acknowledged nor closed."""
    said = {"start": window.start, "until": window.end, **asked(wanted)}
    return (await conn.execute(_OLDEST, said)).scalar_one()  # type: ignore[no-any-return]


def _part(place: int, part: Part) -> dict[str, object]:
    return {
        "place": place,
        "sign": part.sign,
        "start": part.window.start,
        "until": part.window.end,
    }


def _overview(row: Mapping[Any, Any], now: datetime) -> Overview:
    shares = _shares(row) if "codes" in row else [row[f"{name.removesuffix('us')}shares"] for name in TIMES]
    acks, pages, closings = (tuple(known) if known else () for known in shares)
    return Overview(
        total_alerts=int(row["total"]),
        acked_alerts=int(row["acked"]),
        closed_alerts=int(row["closed"]),
        timeout_escalated_alerts=int(row["timeout_escalated"]),
        suppressed_alerts=int(row["suppressed"]),
        noise_suppressed_alerts=int(row["noise_suppressed"]),
        paged_alerts=int(row["paged"]),
        reopenings=int(row["reopenings"]),
        unacked=_waiting(int(row["unacked"]), int(row["unacked_us"]), now),
        first_page=_statistics(int(row["paged"]), int(row["page_us"]), pages),
        mtta=_statistics(int(row["acked"]), int(row["ack_us"]), acks),
        mttr=_statistics(int(row["closed"]), int(row["close_us"]), closings),
    )


def _shares(row: Mapping[Any, Any]) -> list[tuple[float | None, ...]]:
    """The percentiles of the three times, from their buckets."""
    buckets: list[dict[int, int]] = [{} for _ in TIMES]
    for code, held in zip(row["codes"] or (), row["counts"] or (), strict=True):
        buckets[(code - 1) // WIDTH][(code - 1) % WIDTH] = held
    return [percentiles(held, SHARES) for held in buckets]


def _statistics(alerts: int, micros: int, shares: tuple[float | None, ...]) -> Statistics:
    return Statistics(micros / alerts / 1e6, *shares) if alerts else Statistics()


def _waiting(alerts: int, opened_us: int, now: datetime) -> Waiting:
    if not alerts:
        return Waiting()
    return Waiting(alerts, now.timestamp() - opened_us / alerts / 1e6)
