"""Changes of cells: spread over what is rolled up, folded into hours and days, made anew from facts, and checked.

A change belongs to an hour and a severity, and counts from its commit on. Nobody waits for anybody to write one: they
are only ever added, and the fold alone touches rollups.
"""

from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.cover import EPOCH, LENGTH, Grain
from services.sla.domain.figures import Window
from services.sla.storage.measures import COUNTED, MEASURES, codes, key, measures

HOUR, BLOCK = LENGTH[Grain.HOUR], LENGTH[Grain.BLOCK]
FOLD = 20_000
"""Changes that are folded in at a time."""
POLL = timedelta(seconds=5)
"""How long changes stand beside the rollups; they count at once all the same."""

_ALL = ", ".join(MEASURES)


def _filing(grain: Grain, *, of_any: bool) -> str:
    """The cells of a grain, by severity or of any: how they are filed."""
    return f"('{grain}', interval '{LENGTH[grain] // HOUR} hours', {of_any})"


_HOURS = _filing(Grain.HOUR, of_any=False)
_DAYS, _ANY_DAYS = (_filing(Grain.DAY, of_any=of_any) for of_any in (False, True))
_BLOCKS, _ANY_BLOCKS = (_filing(Grain.BLOCK, of_any=of_any) for of_any in (False, True))
_FINE = ", ".join((_HOURS, _DAYS, _ANY_DAYS))
_FILINGS = ", ".join((_FINE, _BLOCKS, _ANY_BLOCKS))
"""Hours are kept by severity alone: there are few alerts in one, and it takes five cells to read it."""
_HOURLY = "dimension, value, severity, starts_at"
_CELL = "dimension, value, severity, grain, starts_at"
_ANY = " or ".join(f"{name} <> 0" for name in MEASURES)


def spread(deltas: str) -> str:
    """CTEs that end with `news`: one row per cell of what the CTE `deltas` says, in the columns of `rollup_changes`.

    `deltas` has severity, starts_at, policy_id, source, schedules, responders, the measures, and in `marks` the codes
    of buckets, negative where one is taken away.
    """
    return f"""spread as materialized (
        select dimension, {key("named")} as value, severity, starts_at, {_ALL}, marks
        from {deltas} cross join lateral (
            values ('all', ''), ('policy', policy_id), ('source', source)
            union all select 'schedule', unnest(schedules)
            union all select 'responder', unnest(responders)) as dimensions (dimension, named)
        where {_ANY} or marks <> '{{}}'),
    totals as materialized (
        select row_number() over () as cell, {_HOURLY}, {", ".join(f"sum({name}) as {name}" for name in MEASURES)}
        from spread group by {_HOURLY}),
    marked as (
        select cell, array_agg(code) as codes, array_agg(held) as counts from (
            select cell, abs(mark) as code, sum(sign(mark))::bigint as held
            from spread join totals using ({_HOURLY}), unnest(marks) as mark group by cell, code) counted
        where held <> 0 group by cell),
    news as (
        select {_HOURLY}, {", ".join(f"totals.{name}" for name in MEASURES)},
            coalesce(codes, '{{}}') as codes, coalesce(counts, '{{}}') as counts
        from totals left join marked using (cell))"""


WRITE = f"insert into rollup_changes ({_HOURLY}, {_ALL}, codes, counts) select * from news"

_MARKS = " || ".join(
    f"coalesce(array_agg({code}) filter (where {code} is not null), '{{}}')" for code in codes("facts")
)
_ALIKE = "severity, date_trunc('hour', opened_at, 'UTC'), policy_id, source, schedules, responders"
_OF_FACTS = f"""deltas as materialized (
        select severity, date_trunc('hour', opened_at, 'UTC') as starts_at, policy_id, source, schedules, responders,
            {", ".join(f"sum({sql}) as {name}" for name, sql in zip(MEASURES, measures("facts"), strict=True))},
            {_MARKS} as marks
        from facts where opened_at >= :start and opened_at < :until group by {_ALIKE}),
    {spread("deltas")}"""
"""Facts that count in the same cells are summed before they are spread over them."""


def _placed(changes: str, filings: str = _FILINGS) -> str:
    """What rows of an hour, or of the cells of another grain, say of the cells that `filings` name."""
    return f"""select dimension, value, case when of_any then '' else severity end as severity, filing.grain,
            cell_at as starts_at, {", ".join(COUNTED)},
            unacked_us + unacked * (extract(epoch from starts_at - cell_at) * 1000000)::bigint as unacked_us,
            codes, counts
        from {changes} as change cross join (values {filings}) as filing (grain, length, of_any)
        cross join lateral date_bin(length, starts_at, timestamptz '1970-01-01 00:00:00+00') as cell_at"""


def _merged(*others: str) -> str:
    """A CTE `merged`: the buckets of `placed`, and of rows of rollups, by the number of the cell in `filed`."""
    rows = [f"{table} as part join filed using ({_CELL})" for table in ("placed", *others)]
    found = " union all ".join(
        f"select cell, code, count from {joined}, unnest(part.codes, part.counts) as bucket (code, count)"
        for joined in rows
    )
    return f"""merged as (
        select cell, array_agg(code) as codes, array_agg(held) as counts from (
            select cell, code, sum(count)::bigint as held from ({found}) buckets group by cell, code) counted
        where held <> 0 group by cell)"""


_INTO = f"insert into rollups as known ({_CELL}, {_ALL}, codes, counts)"
_FILED = f"""filed as materialized (
        select row_number() over () as cell, {_CELL}, {", ".join(f"sum({name}) as {name}" for name in MEASURES)}
        from placed group by {_CELL})"""
_ROWS = f"""select {_CELL}, {", ".join(f"filed.{name}" for name in MEASURES)},
        coalesce(codes, '{{}}'), coalesce(counts, '{{}}') from filed left join merged using (cell)"""
_FOLD = text(
    f"""with taken as (
        delete from rollup_changes where id in (select id from rollup_changes order by id limit :most) returning *),
    placed as materialized ({_placed("taken")}),
    {_FILED},
    {_merged("rollups")},
    written as (
        {_INTO} {_ROWS}
        on conflict ({_CELL}) do update set
            {", ".join(f"{name} = known.{name} + excluded.{name}" for name in MEASURES)},
            codes = excluded.codes, counts = excluded.counts)
    select count(*) from taken"""
)
_FOLDER = "select pg_try_advisory_xact_lock(hashtext('fold'), hashtext(current_schema()))"
_ROOM = """set local work_mem = '64MB'; set local hash_mem_multiplier = 4; set local enable_sort = off;
    set local statement_timeout = 0"""
"""Every bucket of every cell passes through, more than the planner thinks, and a million facts take longer than a
request may."""
_ALONE = (
    "select pg_advisory_xact_lock(hashtext('fold'), hashtext(current_schema()))",
    "lock table rollup_changes in share row exclusive mode",
)


async def fold(conn: AsyncConnection, most: int = FOLD) -> int:
    """Folds changes into the rollups of their hours and days; how many. Nothing while another replica is at it."""
    if not (await conn.execute(text(_FOLDER))).scalar_one():
        return 0
    await conn.execute(text(_ROOM))
    return int((await conn.execute(_FOLD, {"most": most})).scalar_one())


def _entries(sign: str, rows: str) -> str:
    """Every number of every row by itself, added or taken away: buckets by their codes, measures by negative ones."""
    names = ", ".join(f"{name}" for name in MEASURES)
    numbers = list(range(-len(MEASURES), 0))
    return f"""select {_CELL}, code, {sign} amount as amount from ({rows}) as row,
        unnest(codes || array{numbers}, counts::numeric[] || array[{names}]::numeric[]) as entry (code, amount)"""


_WITHIN = "starts_at >= :start and starts_at < :until"
_DIFFERENT = f"""select count(*) from (
        select from entries group by {_CELL}, code having sum(amount) <> 0) as different"""
_CHECK_DAYS = text(
    f"""with {_OF_FACTS}, entries as (
        {_entries("+", _placed("news", _FINE))}
        union all {_entries("-", f"select * from rollups where grain <> 'b' and {_WITHIN}")}
        union all {_entries("-", _placed(f"(select * from rollup_changes where {_WITHIN})", _FINE))})
    {_DIFFERENT}"""
)
_CHECK_BLOCKS = text(
    f"""with entries as (
        {_entries("+", _placed(f"(select * from rollups where grain = 'd' and {_WITHIN})", _BLOCKS))}
        union all {_entries("-", f"select * from rollups where grain = 'b' and {_WITHIN}")})
    {_DIFFERENT}"""
)
_FRESH = text(
    f"with {_OF_FACTS} {_INTO} select dimension, value, severity, '{Grain.HOUR}', starts_at, {_ALL}, codes, counts from news"
)
_ROLLED = [
    text(
        f"""with placed as materialized ({_placed(f"(select * from rollups where {rows} and {_WITHIN})", filing)}),
        {_FILED}, {_merged()} {_INTO} {_ROWS}"""
    )
    for rows, filing in (
        ("grain = 'h'", _DAYS),
        ("grain = 'd'", _ANY_DAYS),
        ("grain = 'd' and severity <> ''", _BLOCKS),
        ("grain = 'd' and severity = ''", _ANY_BLOCKS),
    )
]
"""Days from hours, blocks from days: each finer cell is read once or twice, not five times."""
_SPAN = text(
    """select least((select min(opened_at) from facts), (select min(starts_at) from rollups),
            (select min(starts_at) from rollup_changes)) as first,
        greatest((select max(opened_at) from facts), (select max(starts_at) from rollups),
            (select max(starts_at) from rollup_changes)) as last"""
)
_COUNT = text("select count(*) from facts where opened_at >= :start and opened_at < :until")


async def span(conn: AsyncConnection) -> Window | None:
    """The blocks in which there is anything to rebuild or check; None when there is nothing."""
    first, last = (await conn.execute(_SPAN)).one()
    if first is None:
        return None
    start = first - (first - EPOCH) % BLOCK
    return Window(start, last - (last - EPOCH) % BLOCK + BLOCK)


async def rebuild(conn: AsyncConnection, block: Window) -> int:
    """Makes the rollups of whole blocks anew from their facts, and forgets what was there; how many facts.

    Consumers and the fold wait meanwhile, so that no event is counted twice or not at all.
    """
    for demand in (_ROOM, *_ALONE):
        await conn.execute(text(demand))
    said = {"start": block.start, "until": block.end}
    for table in ("rollup_changes", "rollups"):
        await conn.execute(text(f"delete from {table} where {_WITHIN}"), said)
    for statement in (_FRESH, *_ROLLED):
        await conn.execute(statement, said)
    return int((await conn.execute(_COUNT, said)).scalar_one())


async def differences(conn: AsyncConnection, block: Window) -> tuple[int, int]:
    """How many numbers of whole blocks are not what their facts say, and of how many facts.

    Each statement looks at one instant, and events may go on coming in.
    """
    await conn.execute(text(_ROOM))
    said = {"start": block.start, "until": block.end}
    wrong = [int((await conn.execute(check, said)).scalar_one()) for check in (_CHECK_DAYS, _CHECK_BLOCKS)]
    return sum(wrong), int((await conn.execute(_COUNT, said)).scalar_one())
