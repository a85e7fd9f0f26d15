"""Statements on the request ids of triggers, and on the groups of aggregation rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset
from services.escalation.domain.grouping import Group, GroupKey
from services.escalation.tables.alerts import groups, requests

_ANSWERED = text(
    """update requests set alert_id = new.alert_id, outcome = new.outcome
    from json_to_recordset(:rows) as new (request_id text, alert_id uuid, outcome text)
    where requests.request_id = new.request_id"""
)

_LEAD = text(
    """update groups set parent_alert_id = new.parent_alert_id, opened_at = new.opened_at
    from json_to_recordset(:rows) as new (
        aggregation_rule_id text, group_key text, parent_alert_id uuid, opened_at timestamptz)
    where groups.aggregation_rule_id = new.aggregation_rule_id and groups.group_key = new.group_key"""
)


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request."""

    alert_id: UUID
    outcome: str


async def begin_requests(conn: AsyncConnection, ids: Iterable[str], now: datetime) -> dict[str, Answered]:
    """Takes the request ids for the caller's transaction, and answers what became of those that came before.

    One that another transaction is just answering is waited for.
    """
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    rows = [{"request_id": one, "outcome": "", "at": now} for one in wanted]
    taken = await conn.execute(
        insert(requests).values(rows).on_conflict_do_nothing().returning(requests.c.request_id)
    )
    before = set(wanted) - set(taken.scalars())
    if not before:
        return {}
    query = select(requests.c.request_id, requests.c.alert_id, requests.c.outcome)
    found = await conn.execute(query.where(requests.c.request_id.in_(before)))
    return {row.request_id: Answered(row.alert_id, row.outcome) for row in found}


async def answer_requests(conn: AsyncConnection, answers: Mapping[str, Answered]) -> None:
    """Records what became of the requests that this transaction took."""
    rows = [
        {"request_id": request_id, "alert_id": answered.alert_id, "outcome": answered.outcome}
        for request_id, answered in answers.items()
    ]
    if rows:
        await conn.execute(_ANSWERED, {"rows": recordset(rows)})


async def lock_groups(conn: AsyncConnection, keys: Iterable[GroupKey]) -> dict[GroupKey, Group]:
    """Locks these groups, in the order of their keys, and makes those that there never were."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    rows = [{"aggregation_rule_id": rule_id, "group_key": key} for rule_id, key in wanted]
    await conn.execute(insert(groups).values(rows).on_conflict_do_nothing())
    return await _found(conn, _groups(wanted).with_for_update())


async def groups_of(conn: AsyncConnection, keys: Iterable[GroupKey]) -> dict[GroupKey, Group]:
    """These groups as they are, without a lock; those that there never were are left out."""
    return await _found(conn, _groups(keys))


def _groups(keys: Iterable[GroupKey]) -> Select[Any]:
    key_of = tuple_(groups.c.aggregation_rule_id, groups.c.group_key)
    query = select(groups).where(key_of.in_(list(keys)))
    return query.order_by(groups.c.aggregation_rule_id, groups.c.group_key)


async def _found(conn: AsyncConnection, query: Select[Any]) -> dict[GroupKey, Group]:
    return {
        GroupKey(row.aggregation_rule_id, row.group_key): Group(row.parent_alert_id, row.opened_at)
        for row in await conn.execute(query)
    }


async def write_groups(conn: AsyncConnection, changed: Mapping[GroupKey, Group]) -> None:
    """Writes who is in front of groups that are locked."""
    rows = [
        {
            "aggregation_rule_id": key.rule_id,
            "group_key": key.key,
            "parent_alert_id": group.parent_alert_id,
            "opened_at": group.opened_at,
        }
        for key, group in changed.items()
    ]
    if rows:
        await conn.execute(_LEAD, {"rows": recordset(rows)})
