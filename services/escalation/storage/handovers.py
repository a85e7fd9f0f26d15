"""Statements on handovers: kept until the alerts that they concern have been looked for, twice."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from psycopg import AsyncConnection as RawConnection
from sqlalchemy import delete, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.escalation.domain.alert import State
from services.escalation.domain.news import Arrival
from services.escalation.domain.policy import ACTIVE, Handover
from services.escalation.domain.timer import Kind, Reason
from services.escalation.tables.alerts import handovers

ALERTS = 5_000
"""How many alerts are armed by one statement."""


_ARM = text(
    f"""with concerned as (
        select alert_id, escalation_level, policy_id
        from alerts left join escalation_policies using (policy_id)
        where state <> '{State.CLOSED}' and snoozed_until is null and escalation_level > 0
            and (state = '{State.OPEN}' and coalesce(handover, '') <> '{Handover.OFF}'
                or state = '{State.ACKED}' and handover = '{Handover.OPEN_AND_ACKED}')
            and (
                select targets && cast(:meant as text[]) from executions step
                where step.alert_id = alerts.alert_id and reason <> '{Reason.SHIFT_HANDOVER}'
                order by execution_id desc limit 1)
            and not exists (
                select from executions step where step.alert_id = alerts.alert_id and step.at >= :at
                    and recipients @> cast(:incoming as text[]))
            and not exists (
                select from timers where timers.alert_id = alerts.alert_id and kind = '{Kind.HANDOVER}'
                    and targets @> cast(:targets as text[]) and people @> cast(:incoming as text[]))
        order by alert_id limit {ALERTS}
    )
    insert into timers (alert_id, kind, due_at, level, round, reason, targets, people, ready_at, policy_id)
    select alert_id, '{Kind.HANDOVER}', :at, escalation_level, 0, '{Reason.SHIFT_HANDOVER}', :targets, :incoming, :now,
        policy_id
    from concerned
    on conflict (alert_id, kind) do update set
        due_at = least(timers.due_at, excluded.due_at), level = excluded.level, ready_at = excluded.ready_at,
        targets = array(select unnest(timers.targets) union select unnest(excluded.targets)),
        people = array(select unnest(timers.people) union select unnest(excluded.people)),
        claim = null"""
)


async def note(conn: AsyncConnection, arrivals: Sequence[Arrival], now: datetime) -> None:
    """Keeps arrivals that are to be looked at from `now` on; one that is known already stays as it is."""
    rows = [{**one._asdict(), "ready_at": now} for one in arrivals]
    if rows:
        await conn.execute(insert(handovers).values(rows).on_conflict_do_nothing())


async def claim(conn: AsyncConnection, now: datetime) -> Arrival | None:
    """Locks the arrival that has been ready longest; None when none is."""
    query = (
        select(handovers)
        .where(handovers.c.ready_at <= now)
        .order_by(handovers.c.ready_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Arrival(row.schedule_id, row.at, row.incoming, row.looks)


async def arm(conn: AsyncConnection, arrival: Arrival, now: datetime) -> int:
    """Arms a timer, due now, for alerts whose last level went to the schedule and has not told those who come.

    Answers how many; as many as `ALERTS` when there may be more.
    """
    target = f"oncall://{arrival.schedule_id}"
    values = {
        "at": arrival.at,
        "incoming": list(arrival.incoming),
        "targets": [target],
        "meant": [target, ACTIVE],
        "now": now,
    }
    return (await conn.execute(_ARM, values)).rowcount


async def look_again(conn: AsyncConnection, arrival: Arrival, at: datetime) -> None:
    """The arrival is looked at once more, from `at` on."""
    await conn.execute(
        update(handovers)
        .where(handovers.c.schedule_id == arrival.schedule_id, handovers.c.at == arrival.at)
        .values(looks=handovers.c.looks + 1, ready_at=at)
    )


async def done(conn: AsyncConnection, arrival: Arrival) -> None:
    """The arrival need not be looked at any more."""
    await conn.execute(
        delete(handovers).where(handovers.c.schedule_id == arrival.schedule_id, handovers.c.at == arrival.at)
    )


async def next_in(conn: RawConnection, now: datetime) -> timedelta | None:
    """How long until the next arrival is ready; None when there is none."""
    row = await (await conn.execute("select min(ready_at) from handovers")).fetchone()
    return row[0] - now if row and row[0] else None
