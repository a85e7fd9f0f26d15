"""Cells made anew from facts, and held against them."""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.cover import EPOCH, LENGTH, Grain
from services.sla.domain.figures import Window
from services.sla.storage.changes import ALL, CELL, DIMENSIONS, TOTALS, filing, placed, spread
from services.sla.storage.measures import MEASURES, key, marks, measures

Told = Callable[[int], Awaitable[None]]
BLOCK, DAY = LENGTH[Grain.BLOCK], LENGTH[Grain.DAY]
_ROOM = "set local work_mem = '64MB'; set local hash_mem_multiplier = 4; set local statement_timeout = 0"
"""Every bucket of every cell passes through, and a million facts take longer than a request may."""
_ONE_INSTANT = (
    "set transaction isolation level repeatable read",
    "lock table runs in row share mode",
    "set local enable_hashagg = off",
)
"""The fold keeps away, and nobody else; the instant at which everything looks begins after that. Sorting buckets by one
number takes a third of the time of hashing them."""
_WITHIN = "starts_at >= :start and starts_at < :until"

_ALIKE = "severity, date_trunc('hour', opened_at, 'UTC'), policy_id, source, schedules, responders"
_OF_FACTS = f"""deltas as materialized (
        select severity, date_trunc('hour', opened_at, 'UTC') as starts_at, policy_id, source, schedules, responders,
            {", ".join(f"sum({sql}) as {name}" for name, sql in zip(MEASURES, measures("facts"), strict=True))},
            {marks("facts")} as marks
        from facts where opened_at >= :start and opened_at < :until group by {_ALIKE})"""
"""Facts that count in the same cells are summed before they are spread over them."""


def _summed(cell: str, held: str, buckets: str) -> str:
    """CTEs `totals` and `marked`: the measures and the buckets of `placed`, by `cell`.

    A bucket is a number that begins with the cell's, so that a sort puts together what belongs together.
    """
    return f"""numbered as materialized (select *, dense_rank() over (order by {cell}) as number from placed),
    totals as (select number, {cell}, {TOTALS} from numbered group by number, {cell}),
    marked as (
        select bucket >> 14 as number, array_agg((bucket & 16383)::int) as codes, array_agg(held) as counts from (
            select bucket, {held} as held from (
                select (number << 14) + {buckets} from numbered) as opened
            group by bucket order by bucket) as counted
        group by 1)"""


_WRITTEN = f"""insert into rollups ({CELL}, {ALL}, codes, counts)
    select {CELL}, {ALL}, coalesce(codes, '{{}}'), coalesce(counts, '{{}}') from totals left join marked using (number)"""
_FRESH = text(
    f"""with {_OF_FACTS},
    placed as (
        select dimension, {key("named")} as value, severity, '{Grain.HOUR}' as grain, starts_at, {ALL}, marks
        from deltas cross join lateral {DIMENSIONS}),
    {_summed(CELL, "count(*)", "unnest(marks) as bucket")}
    {_WRITTEN}"""
)


def _rolled(finer: Grain, grain: Grain, *, of_any: bool) -> TextClause:
    """Cells of a grain from those by severity of a finer one, or of itself."""
    rows = f"(select * from rollups where grain = '{finer}' and severity <> '' and {_WITHIN})"
    return text(
        f"""with placed as ({placed(rows, filing(grain, of_any=of_any))}),
        {_summed(CELL, "sum(held)", "unnest(codes) as bucket, unnest(counts)::int as held")}
        {_WRITTEN}"""
    )


def _made(grain: Grain, finer: Grain) -> Sequence[TextClause]:
    return _rolled(finer, grain, of_any=False), _rolled(grain, grain, of_any=True)


_DAILY = (
    _FRESH,
    _rolled(Grain.HOUR, Grain.HOUR, of_any=True),
    *_made(Grain.QUARTER, Grain.HOUR),
    *_made(Grain.DAY, Grain.QUARTER),
)
_BLOCKS = _made(Grain.BLOCK, Grain.DAY)


def _entries(sign: str, rows: str) -> str:
    """Every number of every row by itself, added or taken away: buckets by their codes, measures by negative ones."""
    names = ", ".join(f"{name}" for name in MEASURES)
    numbers = list(range(-len(MEASURES), 0))
    return f"""select {CELL}, unnest(codes || array{numbers}) as code,
        {sign} unnest(counts::numeric[] || array[{names}]::numeric[]) as amount from ({rows}) as row"""


_FINE = ", ".join(
    filing(grain, of_any=of_any) for grain in Grain if grain is not Grain.BLOCK for of_any in (False, True)
)
_COARSE = ", ".join(filing(Grain.BLOCK, of_any=of_any) for of_any in (False, True))
_DIFFERENT = f"""select count(*) from (
        select from entries group by {CELL}, code having sum(amount) <> 0) as different"""
_CHECK_DAY = text(
    f"""with {_OF_FACTS}, {spread("deltas")}, entries as (
        {_entries("+", placed("news", _FINE))}
        union all {_entries("-", f"select * from rollups where grain <> '{Grain.BLOCK}' and {_WITHIN}")}
        union all {_entries("-", placed(f"(select * from rollup_changes where {_WITHIN})", _FINE))})
    {_DIFFERENT}"""
)
_DAYS = f"(select * from rollups where grain = '{Grain.DAY}' and severity <> '' and {_WITHIN})"
_CHECK_BLOCK = text(
    f"""with entries as (
        {_entries("+", placed(_DAYS, _COARSE))}
        union all {_entries("-", f"select * from rollups where grain = '{Grain.BLOCK}' and {_WITHIN}")})
    {_DIFFERENT}"""
)
_SPAN = text(
    """select least((select min(opened_at) from facts), (select min(starts_at) from rollups),
            (select min(starts_at) from rollup_changes)) as first,
        greatest((select max(opened_at) from facts), (select max(starts_at) from rollups),
            (select max(starts_at) from rollup_changes)) as last"""
)
_COUNT = text(f"select count(*) from facts where {_WITHIN.replace('starts_at', 'opened_at')}")


async def span(conn: AsyncConnection) -> Window | None:
    """The blocks in which there is anything to rebuild or check; None when there is nothing."""
    first, last = (await conn.execute(_SPAN)).one()
    if first is None:
        return None
    start = first - (first - EPOCH) % BLOCK
    return Window(start, last - (last - EPOCH) % BLOCK + BLOCK)


async def rebuild(conn: AsyncConnection, block: Window, told: Told | None = None) -> int:
    """Makes the rollups of whole blocks anew from their facts, and forgets what was there; how many facts.

    `told` hears after each day how many facts it had.

    The transaction must be new: what it sees of facts and changes is of one instant. Events may go on coming in; what
    they change after it is kept as changes. Any number of blocks may be rebuilt at once.
    """
    for demand in (*_ONE_INSTANT, _ROOM):
        await conn.execute(text(demand))
    for table in ("rollup_changes", "rollups"):
        await conn.execute(text(f"delete from {table} where {_WITHIN}"), _said(block))
    facts = 0
    for day in _days(block):
        of_day = await _count(conn, day)
        for statement in _DAILY if of_day else ():
            await conn.execute(statement, _said(day))
        facts += await _heard(of_day, told)
    for statement in _BLOCKS:
        await conn.execute(statement, _said(block))
    return facts


async def differences(conn: AsyncConnection, block: Window, told: Told | None = None) -> tuple[int, int]:
    """How many numbers of whole blocks are not what their facts say, and of how many facts.

    Each statement looks at one instant, and events may go on coming in. `told` hears after each day how many facts it
    had.
    """
    await conn.execute(text(_ROOM))
    wrong = int((await conn.execute(_CHECK_BLOCK, _said(block))).scalar_one())
    facts = 0
    for day in _days(block):
        wrong += int((await conn.execute(_CHECK_DAY, _said(day))).scalar_one())
        facts += await _heard(await _count(conn, day), told)
    return wrong, facts


async def _count(conn: AsyncConnection, window: Window) -> int:
    return int((await conn.execute(_COUNT, _said(window))).scalar_one())


async def _heard(facts: int, told: Told | None) -> int:
    if told is not None:
        await told(facts)
    return facts


def _days(window: Window) -> Iterator[Window]:
    start = window.start
    while start < window.end:
        yield Window(start, start + DAY)
        start += DAY


def _said(window: Window) -> dict[str, object]:
    return {"start": window.start, "until": window.end}
