"""Statements that open, lock and find alerts, and read their timelines."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import (
    ColumnElement,
    Text,
    Uuid,
    and_,
    any_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import NotFound
from chassis.outbox import COLUMNS
from chassis.recordset import recordset
from services.escalation.domain.alert import Action, ActionType, Alert, EventType, Severity, State
from services.escalation.domain.matcher import Matcher, Op
from services.escalation.domain.timer import Kind, Reason
from services.escalation.tables.alerts import actions, alerts

OPEN: LiteralString = f"""
with input as materialized (
    select * from json_to_recordset(%s) as input (
        alert_id uuid, dedup_key text, title text, description text, severity text, source text, labels jsonb,
        state text, policy_id text, opened_at timestamptz, suppressed_by text, parent_alert_id uuid,
        integration_id text, flapping boolean, steady_at timestamptz, close_at timestamptz,
        event text, data text, trace_parent text)
), opened as (
    insert into alerts (
        alert_id, dedup_key, title, description, severity, source, labels, state, policy_id, opened_at, acked_by,
        closed_by, trigger_count, last_triggered_at, escalation_level, suppressed_by, parent_alert_id, version,
        integration_id, flapping)
    select alert_id, dedup_key, title, description, severity, source, labels, state, policy_id, opened_at, '',
        '', 1, opened_at, 0, coalesce(suppressed_by, ''), parent_alert_id, 1, coalesce(integration_id, ''),
        coalesce(flapping, false)
    from input order by dedup_key
    on conflict (dedup_key) where dedup_key <> '' and state <> '{State.CLOSED}' do nothing
    returning alert_id
), armed as (
    insert into timers (alert_id, kind, due_at, level, round, reason, targets, ready_at, policy_id)
    select alert_id, kind, due_at, 1, 0, '{Reason.INITIAL}', '{{}}', due_at, policy_id
    from input join opened using (alert_id) cross join lateral (values
        ('{Kind.ESCALATE}', case when state = '{State.OPEN}' then opened_at end),
        ('{Kind.STEADY}', steady_at), ('{Kind.CLOSE}', close_at)) timer (kind, due_at)
    where due_at is not null
), told as (
    insert into outbox ({COLUMNS})
    select uuidv7(), event, alert_id::text, decode(data, 'base64'), opened_at, trace_parent
    from input join opened using (alert_id)
)
select alert_id from input where alert_id not in (select alert_id from opened)"""

_CLOSED = literal(State.CLOSED, alerts.c.state.type, literal_execute=True)
_ACKED = literal(State.ACKED, alerts.c.state.type, literal_execute=True)
_CRITICAL = literal(Severity.CRITICAL, alerts.c.severity.type, literal_execute=True)
_NONE = literal("", literal_execute=True)
"""Written out in the statements, so that the planner can tell that a partial index serves them."""


_WORDS = "to_tsvector('simple', alerts.title || ' ' || alerts.source)"
"""As the index has it."""
_PLAIN = "to_tsvector('simple', alerts.title || ' ' || alerts.source || '')"


class New(NamedTuple):
    """An alert to be opened, and the one event that tells of it, serialised, with its trace.

    Its first step follows from its state. `steady_at`: when it opens if it flaps no more by then; `close_at`: when it
    closes if it is not triggered again.
    """

    alert: Alert
    event: EventType
    data: bytes
    trace: str
    steady_at: datetime | None = None
    close_at: datetime | None = None


async def open_now(conn: RawConnection, new: Sequence[New]) -> set[UUID]:
    """Opens those alerts whose dedup key has none that is not closed, with their timers and events.

    One statement, a transaction of its own on an autocommit connection. Answers which were not opened.
    """
    return {row[0] for row in await (await conn.execute(OPEN, (recordset(map(_row, new)),))).fetchall()}


async def open_within(conn: AsyncConnection, new: Sequence[New]) -> set[UUID]:
    """The same within the caller's transaction."""
    return (
        {row[0] for row in await conn.exec_driver_sql(OPEN, (recordset(map(_row, new)),))} if new else set()
    )


def _row(new: New) -> Mapping[str, Any]:
    """A row as JSON; what nearly every alert has alike is left out, because each name costs on both sides."""
    alert = new.alert
    row: dict[str, Any] = {
        "alert_id": alert.alert_id,
        "dedup_key": alert.dedup_key,
        "title": alert.title,
        "description": alert.description,
        "severity": alert.severity,
        "source": alert.source,
        "labels": alert.labels,
        "state": alert.state,
        "policy_id": alert.policy_id,
        "opened_at": alert.opened_at,
        "event": new.event,
        "data": new.data,
        "trace_parent": new.trace,
    }
    if alert.suppressed_by:
        row["suppressed_by"] = alert.suppressed_by
        row["parent_alert_id"] = alert.parent_alert_id
        row["steady_at"] = new.steady_at
    if alert.integration_id:
        row["integration_id"] = alert.integration_id
        row["flapping"] = alert.flapping
        row["close_at"] = new.close_at
    return row


async def get(conn: AsyncConnection, alert_id: UUID) -> Alert:
    """The alert with this id; raises NotFound."""
    row = (await conn.execute(select(alerts).where(alerts.c.alert_id == alert_id))).one_or_none()
    if row is None:
        raise missing(alert_id)
    return Alert(**row._asdict())


def missing(alert_id: UUID) -> NotFound:
    """What is said of an id that no alert has."""
    return NotFound(f"there is no alert {alert_id}", reason="ALERT_NOT_FOUND")


async def exists(conn: AsyncConnection, alert_id: UUID) -> None:
    """Raises NotFound when there is no such alert."""
    found = await conn.execute(select(alerts.c.alert_id).where(alerts.c.alert_id == alert_id))
    if found.one_or_none() is None:
        raise missing(alert_id)


async def unknown(conn: AsyncConnection, ids: Collection[UUID]) -> set[UUID]:
    """Those of these ids that no alert has."""
    query = select(alerts.c.alert_id).where(alerts.c.alert_id == any_(literal(list(ids), ARRAY(Uuid))))
    return set(ids).difference((await conn.execute(query)).scalars())


async def lock(
    conn: AsyncConnection, ids: Iterable[UUID | None], *, keys: Iterable[str] = ()
) -> dict[UUID, Alert]:
    """Locks the alerts with these ids, and those with these dedup keys that are not closed.

    Everybody who locks alerts does it here or in the same order, by id: so nobody waits in a circle.
    """
    wanted = literal(list({one for one in ids if one}), ARRAY(Uuid))
    texts = literal(sorted({key for key in keys if key}), ARRAY(Text))
    live = and_(alerts.c.dedup_key == any_(texts), alerts.c.dedup_key != _NONE, alerts.c.state != _CLOSED)
    query = (
        select(alerts)
        .where(or_(alerts.c.alert_id == any_(wanted), live))
        .order_by(alerts.c.alert_id)
        .with_for_update()
    )
    return {row.alert_id: Alert(**row._asdict()) for row in await conn.execute(query)}


async def live_ids(conn: AsyncConnection, keys: Sequence[str]) -> dict[str, UUID]:
    """The alerts that are not closed, by their dedup keys."""
    query = select(alerts.c.dedup_key, alerts.c.alert_id).where(
        alerts.c.dedup_key == any_(literal(list(keys), ARRAY(Text))),
        alerts.c.dedup_key != _NONE,
        alerts.c.state != _CLOSED,
    )
    return {row.dedup_key: row.alert_id for row in await conn.execute(query)}


async def comments(
    conn: AsyncConnection, actor: str, alert_ids: Iterable[UUID], notes: Iterable[str]
) -> set[tuple[UUID, str]]:
    """Which of these notes somebody has made already, on which of these alerts."""
    query = select(actions.c.alert_id, actions.c.note).where(
        actions.c.alert_id == any_(literal(list(alert_ids), ARRAY(Uuid))),
        actions.c.type == ActionType.COMMENT,
        actions.c.actor == actor,
        actions.c.note == any_(literal(list(notes), ARRAY(Text))),
    )
    return {(row.alert_id, row.note) for row in await conn.execute(query)}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which alerts a list shows; empty parts ask for nothing. Regular expressions are left to the caller."""

    states: Sequence[State] = ()
    severities: Sequence[Severity] = ()
    source: str = ""
    policy_id: str = ""
    dedup_key: str = ""
    start: datetime | None = None
    end: datetime | None = None
    matchers: Sequence[Matcher] = ()
    text: str = ""
    exhausted: bool = False

    @property
    def live(self) -> bool:
        """Whether it asks for alerts that are not closed alone."""
        return bool(self.states) and State.CLOSED not in self.states

    def conditions(self) -> list[ColumnElement[bool]]:
        """The filter as SQL, but for the text."""
        found = [sql for matcher in self.matchers if (sql := matching(matcher)) is not None]
        if self.states:
            found.append(alerts.c.state.in_(self.states))
        if self.live:
            found.append(alerts.c.state != _CLOSED)  # for the index
        if set(self.states) == {State.ACKED}:
            found.append(alerts.c.state == _ACKED)  # these have one, too
        if self.severities:
            found.append(alerts.c.severity.in_(self.severities))
        if set(self.severities) == {Severity.CRITICAL}:
            found.append(alerts.c.severity == _CRITICAL)  # these have one, too
        wanted = {"source": self.source, "policy_id": self.policy_id, "dedup_key": self.dedup_key}
        found += [alerts.c[name] == value for name, value in wanted.items() if value]
        if self.dedup_key:
            found.append(alerts.c.dedup_key != _NONE)
        if self.start is not None:
            found.append(alerts.c.opened_at >= self.start)
        if self.end is not None:
            found.append(alerts.c.opened_at < self.end)
        if self.exhausted:
            found.append(alerts.c.exhausted_at.is_not(None))
        return found

    def words(self, *, indexed: bool) -> list[ColumnElement[bool]]:
        """The text as SQL, in a form that the index of words serves, or in one that it does not."""
        if not self.text:
            return []
        query = func.to_tsquery(literal_column("'simple'"), _query(self.text))
        return [literal_column(_WORDS if indexed else _PLAIN).bool_op("@@")(query)]

    def among(self) -> list[ColumnElement[bool]]:
        """What the alerts meet that an index has in order, and of which the filter wants some."""
        return [alerts.c.state != _CLOSED] if self.live else []


def _query(words: str) -> str:
    """All of the words, and those that begin like the last; each is quoted, so that none is an operator."""
    quoted = ["'{}'".format(word.replace("\\", "").replace("'", "''")) for word in words.split()]
    return " & ".join(quoted) + ":*"


def matching(matcher: Matcher) -> ColumnElement[bool] | None:
    """A matcher as SQL; None for a regular expression, which Postgres would read in another way."""
    if matcher.op not in (Op.EQUAL, Op.NOT_EQUAL):
        return None
    value: ColumnElement[str]
    if matcher.name in ("severity", "source", "title"):
        value = cast(alerts.c[matcher.name], Text)
    elif matcher.op is Op.EQUAL and matcher.value:
        return alerts.c.labels.contains({matcher.name: matcher.value})
    else:
        value = func.coalesce(alerts.c.labels[matcher.name].astext, "")
    return value == matcher.value if matcher.op is Op.EQUAL else value != matcher.value


async def timeline(
    conn: AsyncConnection, alert_id: UUID, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Action]:
    """Up to `limit` actions of an alert, the oldest first, from the first after `after` on."""
    query = select(actions).where(actions.c.alert_id == alert_id)
    if after is not None:
        query = query.where(tuple_(actions.c.at, actions.c.action_id) > after)
    query = query.order_by(actions.c.at, actions.c.action_id).limit(limit)
    return [Action(**row._asdict()) for row in await conn.execute(query)]
