"""Statements on the steps taken, on the pages that notify has yet to accept, and on who was covered last."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from psycopg.rows import tuple_row
from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.alert import Alert, Execution, Severity, State
from services.escalation.domain.timer import Reason, Timer
from services.escalation.storage.fairness import fairly
from services.escalation.tables.alerts import coverage, executions

_EXECUTION: LiteralString = (
    "execution_id, alert_id, policy_id, level, reason, targets, recipients, at, stale, catch_all"
)
_ALERT: LiteralString = """alert_id, dedup_key, title, description, severity, source, labels, state, policy_id,
    opened_at, acked_at, acked_by, closed_at, closed_by, snoozed_until, trigger_count, last_triggered_at,
    escalation_level, suppressed_by, parent_alert_id, version, integration_id, flapping, exhausted_at"""
_COLUMNS = len(executions.c)

_LONGEST: LiteralString = """
select execution_id from pages where ready_at <= %(now)b
order by ready_at, execution_id limit %(limit)b for update skip locked"""


def _claiming(due: LiteralString) -> LiteralString:
    return f"""
with due as ({due}), claimed as (
    update pages set ready_at = %(until)b, attempts = attempts + 1 from due
    where pages.execution_id = due.execution_id returning pages.execution_id
)
select {", ".join(f"e.{name.strip()}" for name in _EXECUTION.split(","))},
    {", ".join(f"a.{name.strip()}" for name in _ALERT.split(","))}
from claimed join executions e using (execution_id) join alerts a using (alert_id)
order by e.at, e.execution_id"""


_CLAIM_PAGES, _CLAIM_PAGES_FAIRLY = _claiming(_LONGEST), _claiming(fairly("pages", "execution_id"))

_ACCEPTED: LiteralString = "delete from pages where execution_id = any (%b)"
_RETRY: LiteralString = """
update pages set ready_at = %(now)b + least(%(most)b, %(first)b * 2 ^ least(attempts - 1, 16))
where execution_id = any (%(ids)b)"""
_GIVE_BACK: LiteralString = """
update pages set ready_at = %(now)b, attempts = attempts - 1
where execution_id = any (%(ids)b) and ready_at = %(until)b"""
_NEXT_PAGE: LiteralString = "select min(ready_at) from pages"


@dataclass(frozen=True, slots=True)
class Page:
    """A step that notify has yet to accept, with the alert as it is now."""

    execution: Execution
    alert: Alert


async def of_alert(
    conn: AsyncConnection, alert_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Execution]:
    """Up to `limit` steps of an alert, the oldest first, from the first after `after` on."""
    query = select(executions).where(executions.c.alert_id == alert_id)
    if after is not None:
        query = query.where(tuple_(executions.c.at, executions.c.execution_id) > after)
    query = query.order_by(executions.c.at, executions.c.execution_id).limit(limit)
    return [Execution(**row._asdict()) for row in await conn.execute(query)]


async def last_targets(conn: AsyncConnection, alert_id: UUID) -> tuple[str, ...]:
    """The targets of an alert's last step that was no handover; none before the first."""
    query = (
        select(executions.c.targets)
        .where(executions.c.alert_id == alert_id, executions.c.reason != Reason.SHIFT_HANDOVER)
        .order_by(executions.c.execution_id.desc())
        .limit(1)
    )
    return tuple((await conn.execute(query)).scalar_one_or_none() or ())


async def told_since(conn: AsyncConnection, handovers: Sequence[Timer]) -> dict[UUID, frozenset[str]]:
    """Whom the steps of these timers' alerts have told since the handover that each is about."""
    if not handovers:
        return {}
    since = {timer.alert_id: timer.due_at for timer in handovers}
    query = select(executions.c.alert_id, executions.c.at, executions.c.recipients).where(
        executions.c.alert_id.in_(list(since)), executions.c.at >= min(since.values())
    )
    told: dict[UUID, set[str]] = {}
    for row in await conn.execute(query):
        if row.at >= since[row.alert_id]:
            told.setdefault(row.alert_id, set()).update(row.recipients)
    return {alert_id: frozenset(people) for alert_id, people in told.items()}


async def claim_pages(
    conn: RawConnection, *, now: datetime, until: datetime, limit: int, fair: bool = False
) -> list[Page]:
    """Claims up to `limit` pages until `until`, those first that wait longest.

    `fair` is for when more than that wait: then every policy has some.
    A page of an alert that somebody has taken meanwhile is not among them: taking it deletes its pages.
    """
    values = {"now": now, "until": until, "limit": limit}
    async with conn.cursor(binary=True, row_factory=tuple_row) as cursor:
        rows = await (await cursor.execute(_CLAIM_PAGES_FAIRLY if fair else _CLAIM_PAGES, values)).fetchall()
    return [Page(_execution(row[:_COLUMNS]), _alert(row[_COLUMNS:])) for row in rows]


def _execution(row: Sequence[Any]) -> Execution:
    execution_id, alert_id, policy_id, level, reason, targets, recipients, at, stale, catch_all = row
    return Execution(
        execution_id,
        alert_id,
        policy_id,
        level,
        Reason(reason),
        tuple(targets),
        tuple(recipients),
        at,
        stale,
        catch_all,
    )


def _alert(row: Sequence[Any]) -> Alert:
    values = list(row)
    values[4], values[7] = Severity(values[4]), State(values[7])
    return Alert(*values)


async def accepted(conn: RawConnection, ids: Sequence[UUID]) -> None:
    """Notify has these: they are done."""
    await conn.execute(_ACCEPTED, (list(ids),))


async def retry(conn: RawConnection, ids: Sequence[UUID], *, now: datetime, first: Any, most: Any) -> None:
    """These are tried again: after `first`, doubling with each attempt up to `most`."""
    await conn.execute(_RETRY, {"now": now, "first": first, "most": most, "ids": list(ids)})


async def give_back(conn: RawConnection, ids: Sequence[UUID], *, until: datetime, now: datetime) -> None:
    """Ends a claim until `until` as if it had not been made; what has another by now stays as it is."""
    await conn.execute(_GIVE_BACK, {"now": now, "until": until, "ids": list(ids)})


async def next_page_at(conn: RawConnection) -> datetime | None:
    """When the next page can be claimed; None when there is none."""
    row = await (await conn.execute(_NEXT_PAGE)).fetchone()
    return row[0] if row else None


async def last_coverage(conn: AsyncConnection, targets: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Whom the targets meant when roster last told; without those that it never told of."""
    query = select(coverage.c.target, coverage.c.responders).where(coverage.c.target.in_(targets))
    return {row.target: row.responders for row in await conn.execute(query)}


async def cover(conn: AsyncConnection, told: Mapping[str, tuple[str, ...]], now: datetime) -> None:
    """Remembers whom the targets mean."""
    rows = [
        {"target": target, "responders": responders, "at": now} for target, responders in sorted(told.items())
    ]
    new = insert(coverage).values(rows)
    await conn.execute(
        new.on_conflict_do_update(
            index_elements=["target"],
            set_={"responders": new.excluded.responders, "at": new.excluded.at},
            where=coverage.c.responders.is_distinct_from(new.excluded.responders),
        )
    )
