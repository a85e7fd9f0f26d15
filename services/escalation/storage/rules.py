"""Statements on rules; a change takes its number first, so changes follow one another and replicas notice them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, ColumnElement, Table, and_, delete, func, not_, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import AlreadyExists, NotFound
from services.escalation.domain.integration import Integration
from services.escalation.domain.noise import AggregationRule, InhibitionRule
from services.escalation.domain.policy import EscalationPolicy
from services.escalation.domain.rules import Rules
from services.escalation.domain.silence import SilenceRule, SilenceState
from services.escalation.tables.rules import (
    aggregation_rules,
    inhibition_rules,
    integrations,
    policies,
    rule_changes,
    silence_rules,
)

CHANNEL = "escalation_rules"
"""Where replicas hear that rules have changed."""

Resource = TypeVar("Resource", EscalationPolicy, SilenceRule, AggregationRule, InhibitionRule, Integration)


@dataclass(frozen=True, slots=True)
class Shelf(Generic[Resource]):
    """One table of configured resources, whose columns are the fields of `kind` and a request id."""

    table: Table
    kind: type[Resource]
    noun: str

    @property
    def _key(self) -> Column[str]:
        return self.table.primary_key.columns[0]

    @property
    def _columns(self) -> list[Column[Any]]:
        return [self.table.c[field.name] for field in fields(self.kind)]

    async def create(self, conn: AsyncConnection, resource: Resource, request_id: str) -> Resource:
        """Adds the resource, or answers the one that the same request added before.

        Raises AlreadyExists when the id is taken.
        """
        if request_id:
            same = select(*self._columns).where(self.table.c.request_id == request_id)
            if row := (await conn.execute(same)).one_or_none():
                return self.kind(**row._asdict())
        row_id = _values(resource)[self._key.name]
        added = await conn.execute(
            insert(self.table)
            .values(**_values(resource), request_id=request_id or None)
            .on_conflict_do_nothing(index_elements=[self._key])
            .returning(self._key)
        )
        if added.one_or_none() is None:
            raise AlreadyExists(f"there is a {self.noun} {row_id!r} already; choose another {self._key.name}")
        return resource

    async def get(self, conn: AsyncConnection, key: str) -> Resource:
        """The resource with this id; raises NotFound."""
        row = (await conn.execute(select(*self._columns).where(self._key == key))).one_or_none()
        if row is None:
            raise self._missing(key)
        return self.kind(**row._asdict())

    async def page(
        self, conn: AsyncConnection, *, after: str, limit: int, where: Sequence[ColumnElement[bool]] = ()
    ) -> list[Resource]:
        """Up to `limit` resources in the order of their ids, from the first after `after` on."""
        query = select(*self._columns).where(self._key > after, *where).order_by(self._key).limit(limit)
        return [self.kind(**row._asdict()) for row in await conn.execute(query)]

    async def every(self, conn: AsyncConnection, *where: ColumnElement[bool]) -> list[Resource]:
        """All of them, where the conditions hold."""
        rows = await conn.execute(select(*self._columns).where(*where))
        return [self.kind(**row._asdict()) for row in rows]

    async def replace(self, conn: AsyncConnection, resource: Resource) -> None:
        """Writes every field of a resource that exists."""
        values = _values(resource)
        await conn.execute(update(self.table).where(self._key == values.pop(self._key.name)).values(**values))

    async def delete(self, conn: AsyncConnection, key: str) -> None:
        """Deletes the resource; raises NotFound."""
        if (await conn.execute(delete(self.table).where(self._key == key))).rowcount == 0:
            raise self._missing(key)

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"there is no {self.noun} {key[:64]!r}")


POLICIES = Shelf(policies, EscalationPolicy, "policy")
SILENCES = Shelf(silence_rules, SilenceRule, "silence rule")
AGGREGATIONS = Shelf(aggregation_rules, AggregationRule, "aggregation rule")
INHIBITIONS = Shelf(inhibition_rules, InhibitionRule, "inhibition rule")
INTEGRATIONS = Shelf(integrations, Integration, "integration")


_OPEN_ALERTS = text(
    """select count(*) as number, min(alert_id::text) as example
    from alerts where policy_id = :policy_id and state <> 'CLOSED'"""
)


def _values(resource: Resource) -> dict[str, Any]:
    return {field.name: getattr(resource, field.name) for field in fields(resource)}


async def begin_change(conn: AsyncConnection) -> None:
    """Must come first in a transaction that writes rules.

    Only one such transaction is under way at a time; what it reads stays true until it commits.
    """
    await conn.execute(update(rule_changes).values(number=rule_changes.c.number + 1))


async def version(conn: AsyncConnection) -> int:
    """A number that differs after every change."""
    return int((await conn.execute(select(rule_changes.c.number))).scalar_one())


async def load(conn: AsyncConnection) -> Rules:
    """Every rule that is or will be in force."""
    return Rules(
        policies=await POLICIES.every(conn),
        silences=await SILENCES.every(conn, silence_rules.c.ends_at > func.clock_timestamp()),
        aggregations=await AGGREGATIONS.every(conn),
        inhibitions=await INHIBITIONS.every(conn),
        integrations=await INTEGRATIONS.every(conn),
    )


def in_states(states: Collection[SilenceState], now: datetime) -> list[ColumnElement[bool]]:
    """A condition that every silence meets that is in one of the states at `now`; none for no states.

    Of those that recur only the caller can tell whether they are within a window.
    """
    begun, over = silence_rules.c.starts_at <= now, silence_rules.c.ends_at <= now
    recurs = silence_rules.c.recurrence.is_not(None)
    conditions = {
        SilenceState.PENDING: and_(or_(not_(begun), recurs), not_(over)),
        SilenceState.ACTIVE: and_(begun, not_(over)),
        SilenceState.EXPIRED: or_(over, recurs),
    }
    return [or_(*(conditions[state] for state in states))] if states else []


async def users_of(conn: AsyncConnection, policy_id: str) -> list[str]:
    """Who uses a policy, for people: its integrations, and how many alerts that are not closed."""
    found = await conn.execute(
        select(integrations.c.integration_id)
        .where(integrations.c.policy_id == policy_id)
        .order_by("integration_id")
    )
    users = [f"integration {integration_id!r}" for integration_id in found.scalars()]
    open_alerts = (await conn.execute(_OPEN_ALERTS, {"policy_id": policy_id})).one()
    if open_alerts.number:
        users.append(f"alerts that are not closed ({open_alerts.number}, like {open_alerts.example})")
    return users
