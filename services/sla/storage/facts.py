"""Facts: what events say is joined in by one statement, which also says what that changes in the figures."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset
from services.sla.domain.fact import Fact, Page
from services.sla.storage.changes import WRITE, spread
from services.sla.storage.measures import MEASURES, codes, measures

COLUMNS = """alert_id, version, opened_at, severity, policy_id, source, title, labels, closed_at, closed_by, opened,
    suppressed, noise_suppressed, acked_at, acked_by, first_paged_at, escalations, told, schedules, responders,
    reopenings, timeout_escalated"""

_LATEST = ("opened_at", "severity", "policy_id", "source", "title", "labels", "closed_at", "closed_by")
_ANY = ("opened", "suppressed", "noise_suppressed", "timeout_escalated")
_SETS = ("told", "schedules", "responders", "reopenings")
_KEYS = ("opened", "opened_at", "severity", "policy_id", "source", "schedules", "responders")
"""What says in which cells an alert counts."""


def _row(side: str, columns: Sequence[str]) -> str:
    return "(" + ", ".join(f"({side}).{column}" for column in columns) + ")"


_DELTAS = ", ".join(
    f"sum(coalesce({plus}, 0) - coalesce({minus}, 0)) as {name}"
    for name, plus, minus in zip(MEASURES, measures("(m.gained)"), measures("(m.lost)"), strict=True)
)
_MARKS = " || ".join(
    f"coalesce(array_agg({sign}({one})) filter (where ({one}) is distinct from ({other}) and ({one}) is not null), '{{}}')"
    for plus, minus in zip(codes("(m.gained)"), codes("(m.lost)"), strict=True)
    for sign, one, other in (("", plus, minus), ("-", minus, plus))
)

_JOIN = text(
    f"""with changed as (
        insert into facts as fact ({COLUMNS})
        select {COLUMNS} from json_to_recordset(cast(:facts as json)) as said (
            alert_id uuid, version bigint, opened_at timestamptz, severity text, policy_id text, source text,
            title text, labels jsonb, closed_at timestamptz, closed_by text, opened boolean, suppressed boolean,
            noise_suppressed boolean, acked_at timestamptz, acked_by text, first_paged_at timestamptz,
            escalations jsonb, told text[], schedules text[], responders text[], reopenings bigint[],
            timeout_escalated boolean)
        order by alert_id
        on conflict (alert_id) do update set
            version = greatest(fact.version, excluded.version),
            {", ".join(f"{c} = case when excluded.version > fact.version then excluded.{c} else fact.{c} end" for c in _LATEST)},
            {", ".join(f"{c} = fact.{c} or excluded.{c}" for c in _ANY)},
            (acked_at, acked_by) = (
                select * from (values (fact.acked_at, fact.acked_by), (excluded.acked_at, excluded.acked_by))
                acks (at, actor) order by at, actor collate "C" limit 1),
            first_paged_at = least(fact.first_paged_at, excluded.first_paged_at),
            escalations = fact.escalations || excluded.escalations,
            {", ".join(f"{c} = case when excluded.{c} <@ fact.{c} then fact.{c} else array(select distinct unnest(fact.{c} || excluded.{c}) order by 1) end" for c in _SETS)}
        returning old as before, new as after),
    compared as materialized (
        select before, after, {_row("before", _KEYS)} is not distinct from {_row("after", _KEYS)} as stays
        from changed),
    moves as (
        select after as gained, before as lost, after as cell from compared where stays
        union all select after, null, after from compared where not stays
        union all select null, before, before from compared where not stays and (before).alert_id is not null),
    deltas as (
        select (cell).severity as severity, date_trunc('hour', (cell).opened_at, 'UTC') as starts_at,
            (cell).policy_id as policy_id, (cell).source as source,
            (cell).schedules as schedules, (cell).responders as responders, {_DELTAS}, {_MARKS} as marks
        from moves m where (cell).opened_at is not null group by 1, 2, 3, 4, 5, 6),
    {spread("deltas")}
    {WRITE}"""
)
"""The join of domain.fact, row by row, and what it adds to the hours; a test holds both to what the domain says.

What stays in its cells adds the difference; what moves, because its severity changed, say, is taken from the cells
where it was and added to those where it is. What counts in the same cells is summed before it is spread over them.
"""

_PAGES = text(
    """insert into pages as known (page, alert_id, responder_id, sent_at)
    select page, alert_id, responder_id, sent_at from json_to_recordset(cast(:pages as json)) as said (
        page text, alert_id uuid, responder_id text, sent_at timestamptz)
    order by page, responder_id
    on conflict (page, responder_id) do update set sent_at = excluded.sent_at
    where excluded.sent_at < known.sent_at"""
)


async def join(conn: AsyncConnection, news: Sequence[Fact]) -> None:
    """Joins what is new of each alert into what is known; `news` has one fact per alert, in the order of their ids."""
    if news:
        await conn.execute(_JOIN, {"facts": recordset(map(_record, news))})


async def page(conn: AsyncConnection, pages: Sequence[Page]) -> None:
    """Records who was reached when; the first time counts. `pages` has one page per key, in order."""
    if pages:
        await conn.execute(_PAGES, {"pages": recordset(pages)})


def _record(fact: Fact) -> dict[str, object]:
    return {
        "alert_id": fact.alert_id,
        "version": fact.version,
        "opened_at": fact.opened_at,
        "severity": fact.severity,
        "policy_id": fact.policy_id,
        "source": fact.source,
        "title": fact.title,
        "labels": dict(fact.labels),
        "closed_at": fact.closed_at,
        "closed_by": fact.closed_by,
        "opened": fact.opened,
        "suppressed": fact.suppressed,
        "noise_suppressed": fact.noise_suppressed,
        "acked_at": fact.acked_at,
        "acked_by": fact.acked_by,
        "first_paged_at": fact.first_paged_at,
        "escalations": dict(fact.escalations),
        "told": sorted(fact.told),
        "schedules": sorted(fact.schedules),
        "responders": sorted(fact.responders),
        "reopenings": sorted(fact.reopenings),
        "timeout_escalated": fact.timeout_escalated,
    }
