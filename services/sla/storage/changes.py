"""Changes of cells: spread over what is rolled up, and folded into cells of every length.

A change belongs to an hour and a severity, and counts from its commit on. Nobody waits for anybody to write one: they
are only ever added, and the fold alone touches rollups.
"""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.cover import LENGTH, Grain
from services.sla.storage.measures import COUNTED, MEASURES, key

HOUR = LENGTH[Grain.HOUR]
FOLD = 20_000
"""Changes that are folded in at a time."""
POLL = timedelta(seconds=5)
"""How long changes stand beside the rollups; they count at once all the same."""

ALL = ", ".join(MEASURES)
TOTALS = ", ".join(f"sum({name}) as {name}" for name in MEASURES)


def filing(grain: Grain, *, of_any: bool) -> str:
    """The cells of a grain, by severity or of any: how they are filed."""
    return f"('{grain}', interval '{LENGTH[grain] // HOUR} hours', {of_any})"


FILINGS = ", ".join(filing(grain, of_any=of_any) for grain in Grain for of_any in (False, True))
HOURLY = "dimension, value, severity, starts_at"
CELL = "dimension, value, severity, grain, starts_at"
DIMENSIONS = """(
            values ('all', ''), ('policy', policy_id), ('source', source)
            union all select 'schedule', unnest(schedules)
            union all select 'responder', unnest(responders)) as dimensions (dimension, named)"""
"""By what is rolled up; the cell of everything has no name."""
_ANY = " or ".join(f"{name} <> 0" for name in MEASURES)


def spread(deltas: str) -> str:
    """CTEs that end with `news`: one row per cell of what the CTE `deltas` says, in the columns of `rollup_changes`.

    `deltas` has severity, starts_at, policy_id, source, schedules, responders, the measures, and in `marks` the codes
    of buckets, negative where one is taken away.
    """
    return f"""spread as materialized (
        select dimension, {key("named")} as value, severity, starts_at, {ALL}, marks
        from {deltas} cross join lateral {DIMENSIONS}
        where {_ANY} or marks <> '{{}}'),
    totals as materialized (
        select row_number() over () as cell, {HOURLY}, {TOTALS}
        from spread group by {HOURLY}),
    marked as (
        select cell, array_agg(code) as codes, array_agg(held) as counts from (
            select cell, abs(mark) as code, sum(sign(mark))::bigint as held
            from spread join totals using ({HOURLY}), unnest(marks) as mark group by cell, code) counted
        where held <> 0 group by cell),
    news as (
        select {HOURLY}, {", ".join(f"totals.{name}" for name in MEASURES)},
            coalesce(codes, '{{}}') as codes, coalesce(counts, '{{}}') as counts
        from totals left join marked using (cell))"""


WRITE = f"insert into rollup_changes ({HOURLY}, {ALL}, codes, counts) select * from news"


def placed(changes: str, filings: str = FILINGS) -> str:
    """What rows of an hour, or of the cells of another grain, say of the cells that `filings` name."""
    return f"""select dimension, value, case when of_any then '' else severity end as severity, filing.grain,
            cell_at as starts_at, {", ".join(COUNTED)},
            unacked_us + unacked * (extract(epoch from starts_at - cell_at) * 1000000)::bigint as unacked_us,
            codes, counts
        from {changes} as change cross join (values {filings}) as filing (grain, length, of_any)
        cross join lateral date_bin(length, starts_at, timestamptz '1970-01-01 00:00:00+00') as cell_at"""


_FOLD = text(
    f"""with taken as (
        delete from rollup_changes where id in (select id from rollup_changes order by id limit :most) returning *),
    placed as materialized ({placed("taken")}),
    filed as materialized (select row_number() over () as cell, {CELL}, {TOTALS} from placed group by {CELL}),
    merged as (
        select cell, array_agg(code) as codes, array_agg(held) as counts from (
            select cell, code, sum(count) as held from (
                select cell, unnest(part.codes) as code, unnest(part.counts)::int as count
                from placed as part join filed using ({CELL})
                union all select cell, unnest(part.codes), unnest(part.counts)::int
                from rollups as part join filed using ({CELL})) as buckets
            group by cell, code) as counted
        where held <> 0 group by cell),
    written as (
        insert into rollups as known ({CELL}, {ALL}, codes, counts)
        select {CELL}, {", ".join(f"filed.{name}" for name in MEASURES)},
            coalesce(codes, '{{}}'), coalesce(counts, '{{}}') from filed left join merged using (cell)
        on conflict ({CELL}) do update set
            {", ".join(f"{name} = known.{name} + excluded.{name}" for name in MEASURES)},
            codes = excluded.codes, counts = excluded.counts)
    select count(*) from taken"""
)
_FOLDER = "select pg_try_advisory_xact_lock(hashtext('fold'), hashtext(current_schema()))"
_ROOM = """set local work_mem = '64MB'; set local hash_mem_multiplier = 4; set local enable_sort = off;
    set local statement_timeout = 0"""
"""Every bucket of every cell passes through, more than the planner thinks."""
_NO_REBUILD = "lock table runs in exclusive mode nowait"
"""Whoever rebuilds has a lock of this table that goes with every other but this one."""


async def fold(conn: AsyncConnection, most: int = FOLD) -> int:
    """Folds changes into the rollups of their hours and days; how many. Nothing while another replica is at it.

    Raises Unavailable while somebody rebuilds.
    """
    if not (await conn.execute(text(_FOLDER))).scalar_one():
        return 0
    await conn.execute(text(_NO_REBUILD))
    await conn.execute(text(_ROOM))
    return int((await conn.execute(_FOLD, {"most": most})).scalar_one())
