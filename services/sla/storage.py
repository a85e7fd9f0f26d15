"""Statements on facts: what events say is joined in by one statement, and figures are read by one."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Float, bindparam, cast, extract, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.fact import Fact
from services.sla.domain.figures import Filter, Overview, Statistics, Window
from services.sla.tables import AT, facts

COLUMNS = """alert_id, version, opened_at, severity, policy_id, source, labels, closed_at, closed_by, opened,
    suppressed, noise_suppressed, acked_at, acked_by, first_paged_at, escalations, told, timeout_escalated"""

SHARES = [0.5, 0.9, 0.99]
"""The percentiles that `Statistics` has."""

_LATEST = ("opened_at", "severity", "policy_id", "source", "labels", "closed_at", "closed_by")
_ANY = ("opened", "suppressed", "noise_suppressed", "timeout_escalated")

_JOIN = text(
    f"""insert into facts as old ({COLUMNS})
    select {COLUMNS} from json_to_recordset(cast(:facts as json)) as new (
        alert_id uuid, version bigint, opened_at timestamptz, severity text, policy_id text, source text,
        labels jsonb, closed_at timestamptz, closed_by text, opened boolean, suppressed boolean,
        noise_suppressed boolean, acked_at timestamptz, acked_by text, first_paged_at timestamptz,
        escalations jsonb, told text[], timeout_escalated boolean)
    order by alert_id
    on conflict (alert_id) do update set
        version = greatest(old.version, excluded.version),
        {", ".join(f"{c} = case when excluded.version > old.version then excluded.{c} else old.{c} end" for c in _LATEST)},
        {", ".join(f"{c} = old.{c} or excluded.{c}" for c in _ANY)},
        (acked_at, acked_by) = (
            select * from (values (old.acked_at, old.acked_by), (excluded.acked_at, excluded.acked_by))
            acks (at, actor) order by at, actor collate "C" limit 1),
        first_paged_at = least(old.first_paged_at, excluded.first_paged_at),
        escalations = old.escalations || excluded.escalations,
        told = case when excluded.told <@ old.told then old.told
            else array(select distinct unnest(old.told || excluded.told)) end"""
)
"""The join of domain.fact, row by row; a test holds the two to the same results."""


async def join(conn: AsyncConnection, news: Sequence[Fact]) -> None:
    """Joins what is new of each alert into what is known; `news` has one fact per alert."""
    if news:
        await conn.execute(_JOIN, {"facts": json.dumps([_record(fact) for fact in news])})


def _record(fact: Fact) -> dict[str, object]:
    return {
        "alert_id": str(fact.alert_id),
        "version": fact.version,
        "opened_at": _text(fact.opened_at),
        "severity": fact.severity,
        "policy_id": fact.policy_id,
        "source": fact.source,
        "labels": dict(fact.labels),
        "closed_at": _text(fact.closed_at),
        "closed_by": fact.closed_by,
        "opened": fact.opened,
        "suppressed": fact.suppressed,
        "noise_suppressed": fact.noise_suppressed,
        "acked_at": _text(fact.acked_at),
        "acked_by": fact.acked_by,
        "first_paged_at": _text(fact.first_paged_at),
        "escalations": dict(fact.escalations),
        "told": sorted(fact.told),
        "timeout_escalated": fact.timeout_escalated,
    }


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _seconds_to(column: ColumnElement[datetime | None]) -> ColumnElement[float]:
    return cast(extract("epoch", column - facts.c.opened_at), Float)


def _statistics(name: str, column: ColumnElement[datetime | None]) -> list[ColumnElement[Any]]:
    """Mean and percentiles of the time to a column, over the alerts that have it."""
    seconds, known = _seconds_to(column), facts.c.opened & column.is_not(None)
    shares = func.percentile_cont(bindparam(None, SHARES, ARRAY(Float))).within_group(seconds)
    return [
        func.avg(seconds).filter(known).label(f"{name}_avg"),
        shares.filter(known).label(f"{name}_percentiles"),
    ]


_FIGURES: list[ColumnElement[Any]] = [
    func.count().filter(facts.c.opened).label("total_alerts"),
    func.count().filter(facts.c.opened, facts.c.acked_at.is_not(None)).label("acked_alerts"),
    func.count().filter(facts.c.opened, facts.c.closed_at.is_not(None)).label("closed_alerts"),
    func.count().filter(facts.c.opened, facts.c.timeout_escalated).label("timeout_escalated_alerts"),
    func.count().filter(~facts.c.opened, facts.c.suppressed).label("suppressed_alerts"),
    func.count().filter(~facts.c.opened, facts.c.noise_suppressed).label("noise_suppressed_alerts"),
    *_statistics("mtta", facts.c.acked_at),
    *_statistics("mttr", facts.c.closed_at),
]


def _conditions(window: Window, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = [facts.c.opened_at >= window.start, facts.c.opened_at < window.end]
    if wanted.severities:
        conditions.append(facts.c.severity.in_(sorted(wanted.severities)))
    if wanted.policy_id:
        conditions.append(facts.c.policy_id == wanted.policy_id)
    if wanted.source:
        conditions.append(facts.c.source == wanted.source)
    return conditions


async def overview(conn: AsyncConnection, window: Window, wanted: Filter) -> Overview:
    """The figures of the alerts that opened in the window and are wanted."""
    row = (await conn.execute(select(*_FIGURES).where(*_conditions(window, wanted)))).one()
    return _overview(row._asdict())


async def series(conn: AsyncConnection, windows: Sequence[Window], wanted: Filter) -> list[Overview]:
    """The figures of adjoining windows, one for each."""
    starts = bindparam(None, [window.start for window in windows], ARRAY(AT))
    place = func.width_bucket(facts.c.opened_at, starts).label("place")
    whole = Window(windows[0].start, windows[-1].end)
    rows = await conn.execute(select(place, *_FIGURES).where(*_conditions(whole, wanted)).group_by(place))
    found = {row.place: _overview(row._asdict()) for row in rows}
    return [found.get(number, Overview()) for number in range(1, len(windows) + 1)]


def _overview(row: Mapping[str, Any]) -> Overview:
    return Overview(
        total_alerts=row["total_alerts"],
        acked_alerts=row["acked_alerts"],
        closed_alerts=row["closed_alerts"],
        timeout_escalated_alerts=row["timeout_escalated_alerts"],
        suppressed_alerts=row["suppressed_alerts"],
        noise_suppressed_alerts=row["noise_suppressed_alerts"],
        mtta=Statistics(row["mtta_avg"], *(row["mtta_percentiles"] or ())),
        mttr=Statistics(row["mttr_avg"], *(row["mttr_percentiles"] or ())),
    )
