"""Finds the newest alerts that pass a filter: by an index that finds them soon, whatever the planner believes.

The planner takes what many alerts have to be spread evenly over time, and knows little of words. Where that is wrong an
index that is walked in order goes through all alerts, which takes seconds.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.alert import Alert
from services.escalation.storage.alerts import Filter
from services.escalation.tables.alerts import alerts

WALKED = 4_000
"""So many alerts, the newest, are looked at one by one before an index is asked for what they are too few of."""
KEY_COLUMNS = (alerts.c.opened_at, alerts.c.alert_id)
KEY, NEWEST = tuple_(*KEY_COLUMNS), tuple(column.desc() for column in KEY_COLUMNS)

Place: TypeAlias = tuple[datetime, UUID]


async def newest(conn: AsyncConnection, wanted: Filter, *, before: Place | None, limit: int) -> list[Alert]:
    """Up to `limit` alerts, the newest first, from the first after `before` on."""
    conditions = [*wanted.conditions(), *_after(before)]
    if wanted.text or (wanted.live and (wanted.source or wanted.policy_id)):
        edge = await _edge(conn, wanted, before)
        near = [] if edge is None else [edge <= KEY]
        recent = select(alerts).where(*conditions, *wanted.words(indexed=False), *near)
        found = await _found(conn, recent.order_by(*NEWEST).limit(limit))
        if len(found) == limit or edge is None:
            return found
    if wanted.text:
        return await _found(conn, _by_words(wanted, before, limit))
    if wanted.source or wanted.policy_id:
        return await _found(conn, _led(wanted, before, limit))
    return await _found(conn, select(alerts).where(*conditions).order_by(*NEWEST).limit(limit))


async def _edge(conn: AsyncConnection, wanted: Filter, before: Place | None) -> Place | None:
    """The place of the last alert that is looked at one by one; None when all of them are."""
    query = select(*KEY_COLUMNS).where(*wanted.among(), *_after(before)).order_by(*NEWEST)
    row = (await conn.execute(query.offset(WALKED - 1).limit(1))).one_or_none()
    return None if row is None else (row.opened_at, row.alert_id)


def _after(before: Place | None) -> list[ColumnElement[bool]]:
    return [] if before is None else [before > KEY]


def _by_words(wanted: Filter, before: Place | None, limit: int) -> Select[Any]:
    """All that pass, by the index of words, and the newest of those: for what few alerts have."""
    conditions = [*wanted.conditions(), *wanted.words(indexed=True), *_after(before)]
    passing = select(*KEY_COLUMNS).where(*conditions).cte("passing").prefix_with("materialized")
    order = (passing.c.opened_at.desc(), passing.c.alert_id.desc())
    ids = select(passing.c.alert_id).order_by(*order).limit(limit)
    return select(alerts).where(alerts.c.alert_id.in_(ids)).order_by(*NEWEST)


def _led(wanted: Filter, before: Place | None, limit: int) -> Select[Any]:
    """By the index of a source or a policy: asked for as a range, or the planner takes another order for as good."""
    lead, value, rest = alerts.c.source, wanted.source, replace(wanted, source="")
    if not wanted.source:
        lead, value, rest = alerts.c.policy_id, wanted.policy_id, replace(wanted, policy_id="")
    last = lead <= value if before is None else tuple_(lead, *KEY_COLUMNS) < (value, *before)
    query = select(alerts).where(lead >= value, last, *rest.conditions())
    return query.order_by(lead.desc(), *NEWEST).limit(limit)


async def _found(conn: AsyncConnection, query: Select[Any]) -> list[Alert]:
    return [Alert(**row._asdict()) for row in await conn.execute(query)]
