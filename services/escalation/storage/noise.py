"""Statements on what is kept quiet: reviews that are due, whom they are about, and who inhibits whom."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import ColumnElement, Uuid, bindparam, literal, select, text, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset
from services.escalation.domain.alert import Alert, State
from services.escalation.domain.flapping import History
from services.escalation.domain.matcher import Matcher
from services.escalation.domain.noise import INHIBITIONS, Side
from services.escalation.storage.alerts import matching
from services.escalation.tables.alerts import alerts

ALERTS = "alerts/"
"""How the subject of a review begins that is about those behind an alert; other subjects are names of rules."""
GATHER = timedelta(milliseconds=250)
"""How long new sources of a rule wait for others, so that a storm of them is one review."""

_ANEW = """on conflict (subject) do update set
        ready_at = case when reviews.claim is null then least(reviews.ready_at, excluded.ready_at)
            else excluded.ready_at end,
        settled = false, claim = null"""
_REVIEW = text(f"insert into reviews (subject, ready_at) values (:subject, :at) {_ANEW}")

_CLAIM: LiteralString = """
update reviews set ready_at = %(until)b, claim = %(claim)b
from (
    select subject from reviews where ready_at <= %(now)b order by ready_at limit 1 for update skip locked
) due where reviews.subject = due.subject returning reviews.subject, settled"""
_EXTEND: LiteralString = "update reviews set ready_at = %b where subject = %b and claim = %b"
_LATER: LiteralString = """
update reviews set ready_at = %b, settled = %b, claim = null where subject = %b and claim = %b"""
_DONE: LiteralString = "delete from reviews where subject = %b and claim = %b"
_NEXT: LiteralString = "select min(ready_at) from reviews"

_TURNED = text(
    f"""with gone as (
        delete from sources where alert_id = any (:closed)
    ), due as (
        select '{ALERTS}' || front as subject, cast(:now as timestamptz) as at from unnest(:over) front
        where exists (
            select from alerts where parent_alert_id = front and state = '{State.SUPPRESSED}')
        union all
        select '{INHIBITIONS}' || inhibition_rule_id, cast(:later as timestamptz)
        from sources where alert_id = any (:loud)
        union all
        select subject, at from json_to_recordset(:asked) as asked (subject text, at timestamptz)
    )
    insert into reviews (subject, ready_at) select subject, min(at) from due group by subject order by subject
    {_ANEW}"""
).bindparams(*(bindparam(name, type_=ARRAY(Uuid)) for name in ("closed", "over", "loud")))

_INHIBITORS = text(
    f"""select rule_id, key, wanted."both", found.alert_id
    from json_to_recordset(:wanted) as wanted (rule_id text, key text, "both" boolean)
    cross join lateral (
        select sources.alert_id from sources join alerts using (alert_id)
        where inhibition_rule_id = rule_id and equal_key = key and not (wanted."both" and sources."both")
            and state <> '{State.CLOSED}'
            and not (state = '{State.SUPPRESSED}' and starts_with(suppressed_by, '{INHIBITIONS}'))
        order by sources.alert_id limit 1
    ) found"""
)
_ADD_SOURCES = text(
    f"""with live as (
        select alert_id from alerts where alert_id = any (:ids) and state <> '{State.CLOSED}' order by alert_id for share
    )
    insert into sources (inhibition_rule_id, equal_key, alert_id, "both")
    select source.* from json_to_recordset(:rows) as source (rule_id text, key text, alert_id uuid, "both" boolean)
    join live using (alert_id) order by rule_id, key, alert_id on conflict do nothing"""
)
_FORGET_SOURCES = text("delete from sources where inhibition_rule_id = :rule_id")

_OPEN, _SUPPRESSED, _CLOSED = (
    literal(state, alerts.c.state.type, literal_execute=True)
    for state in (State.OPEN, State.SUPPRESSED, State.CLOSED)
)


class Review(NamedTuple):
    """A review that this replica has claimed. `settled`: it is the second after a change."""

    subject: str
    settled: bool


class Place(NamedTuple):
    """Where an alert stands in the order in which reviews go through them."""

    opened_at: datetime
    alert_id: UUID


async def review(conn: AsyncConnection, subject: str, at: datetime) -> None:
    """Asks for a review at an instant, or earlier where it was asked for earlier; one under way begins anew.

    A transaction that asks for others besides does it by `turned`.
    """
    await conn.execute(_REVIEW, {"subject": subject, "at": at})


async def claim(conn: RawConnection, claim_id: UUID, *, now: datetime, until: datetime) -> Review | None:
    """Claims the review that is due longest; nobody else gets it before `until`."""
    row = await (await conn.execute(_CLAIM, {"until": until, "claim": claim_id, "now": now})).fetchone()
    return Review(*row) if row else None


async def extend(conn: RawConnection, subject: str, claim_id: UUID, until: datetime) -> bool:
    """Keeps the claim until then; False when it is lost, because the review was asked for anew or taken over."""
    return (await conn.execute(_EXTEND, (until, subject, claim_id))).rowcount == 1


async def finish(
    conn: RawConnection, subject: str, claim_id: UUID, *, next_at: datetime | None, settled: bool = False
) -> None:
    """The review is done, and due again at `next_at`, or never; nothing when the claim is lost."""
    if next_at is None:
        await conn.execute(_DONE, (subject, claim_id))
    else:
        await conn.execute(_LATER, (next_at, settled, subject, claim_id))


async def next_at(conn: RawConnection) -> datetime | None:
    """When the next review can be claimed; None when there is none."""
    row = await (await conn.execute(_NEXT)).fetchone()
    return row[0] if row else None


async def turned(
    conn: AsyncConnection,
    *,
    closed: Collection[UUID],
    over: Collection[UUID],
    loud: Collection[UUID],
    asked: Mapping[str, datetime],
    now: datetime,
) -> None:
    """Asks for the reviews that follow from changes on the caller's transaction, and for those `asked` for besides.

    Those behind an alert that is `over`, closed or kept quiet itself, are judged anew, and what a `loud` one inhibits,
    one that fires again. `closed` ones are sources no more. Called once in a transaction, and last: whoever has locked
    a review waits for nobody, and all of them are locked by one statement in their order, so nobody waits in a circle.
    """
    values = {"closed": list(closed), "over": list(over), "loud": list(loud)}
    rows = recordset({"subject": subject, "at": at} for subject, at in asked.items())
    await conn.execute(_TURNED, {**values, "asked": rows, "now": now, "later": now + GATHER})


async def inhibitors(conn: AsyncConnection, targets: Iterable[Side]) -> dict[Side, UUID]:
    """For each target one alert that fires and inhibits it, where there is one."""
    wanted = [side._asdict() for side in set(targets)]
    if not wanted:
        return {}
    rows = await conn.execute(_INHIBITORS, {"wanted": recordset(wanted)})
    return {Side(row.rule_id, row.key, row.both): row.alert_id for row in rows}


async def add_sources(conn: AsyncConnection, sources: Sequence[tuple[UUID, Side]]) -> None:
    """Remembers which alerts inhibit others; those that have closed by now are none, and one that closes is waited for."""
    if sources:
        rows = recordset({**side._asdict(), "alert_id": alert_id} for alert_id, side in sources)
        ids = [alert_id for alert_id, _ in sources]
        await conn.execute(_ADD_SOURCES, {"rows": rows, "ids": ids})


async def forget_sources(conn: AsyncConnection, rule_id: str) -> None:
    """Forgets the sources of a rule that has changed: its review finds them anew."""
    await conn.execute(_FORGET_SOURCES, {"rule_id": rule_id})


def live() -> list[ColumnElement[bool]]:
    """What every alert that is not closed meets."""
    return [alerts.c.state != _CLOSED]


def loud(matchers: Sequence[Matcher]) -> list[ColumnElement[bool]]:
    """What open alerts that do not sleep meet, and of the matchers those that Postgres can tell."""
    told = [sql for matcher in matchers if (sql := matching(matcher)) is not None]
    return [*live(), alerts.c.state == _OPEN, alerts.c.snoozed_until.is_(None), *told]


def come_by(integration_id: str) -> list[ColumnElement[bool]]:
    """What alerts meet that are not closed and came by an integration."""
    return [*live(), alerts.c.integration_id == integration_id]


def kept_by(name: str) -> list[ColumnElement[bool]]:
    """What those meet that something keeps quiet."""
    return [alerts.c.state == _SUPPRESSED, alerts.c.suppressed_by == name]


def behind(parent_alert_id: UUID) -> list[ColumnElement[bool]]:
    """What those meet that stand behind an alert."""
    return [alerts.c.state == _SUPPRESSED, alerts.c.parent_alert_id == parent_alert_id]


async def alerts_after(
    conn: AsyncConnection, place: Place | None, where: Sequence[ColumnElement[bool]], limit: int
) -> list[Alert]:
    """Up to `limit` alerts that meet the conditions, the oldest first, from the first after `place` on; no lock."""
    query = select(alerts).where(*where)
    if place is not None:
        query = query.where(tuple_(alerts.c.opened_at, alerts.c.alert_id) > place)
    query = query.order_by(alerts.c.opened_at, alerts.c.alert_id).limit(limit)
    return [Alert(**row._asdict()) for row in await conn.execute(query)]


_OPENINGS = text(
    """select wanted.key, recent.number, last.flapping, last.at
    from json_to_recordset(:wanted) as wanted (key text, since timestamptz, most int)
    cross join lateral (
        select count(*) as number from (
            select from alerts where dedup_key = key and dedup_key <> '' and opened_at > since limit most) found
    ) recent
    cross join lateral (
        select flapping, greatest(opened_at, closed_at) as at from alerts
        where dedup_key = key and dedup_key <> '' order by opened_at desc, alert_id desc limit 1
    ) last"""
)


async def openings(conn: AsyncConnection, wanted: Mapping[str, tuple[datetime, int]]) -> dict[str, History]:
    """The openings of each dedup key since an instant, counted up to a number; without keys that never opened."""
    if not wanted:
        return {}
    rows = recordset({"key": key, "since": since, "most": most} for key, (since, most) in wanted.items())
    found = await conn.execute(_OPENINGS, {"wanted": rows})
    return {row.key: History(row.number, row.flapping, row.at) for row in found}
