"""Targets, the promises that they make, and what is due of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.recordset import recordset
from services.sla.domain.fact import Fact
from services.sla.domain.hours import BusinessHours, Hours
from services.sla.domain.target import Kind, Promise, State, Tally, Target
from services.sla.storage import listing
from services.sla.storage.facts import COLUMNS

TARGET = """target_id, display_name, matchers, acknowledge_within, resolve_within, hours, at_risk_share, objective,
    budget_window, created_at"""
PROMISE = "alert_id, target_id, kind, started_at, at_risk_at, due_at, state, settled_at, breached_at"
_TYPED = """alert_id uuid, target_id text, kind text, started_at timestamptz, at_risk_at timestamptz,
    due_at timestamptz, state text, settled_at timestamptz, breached_at timestamptz, next_at timestamptz"""


async def add(conn: AsyncConnection, target: Target, request_id: str) -> bool:
    """Adds a target; False when the id or the request id is taken."""
    added = await conn.execute(
        text(
            f"""insert into targets ({TARGET}, request_id) values (:target_id, :display_name, :matchers,
                :acknowledge_within, :resolve_within, cast(:hours as jsonb), :at_risk_share, :objective,
                :budget_window, :created_at, :request_id) on conflict do nothing"""
        ),
        {
            "target_id": target.target_id,
            "display_name": target.display_name,
            "matchers": list(target.matchers),
            "acknowledge_within": target.acknowledge_within,
            "resolve_within": target.resolve_within,
            "hours": None if target.hours is None else json.dumps(_written(target.hours)),
            "at_risk_share": target.at_risk_share,
            "objective": target.objective,
            "budget_window": target.window,
            "created_at": target.created_at,
            "request_id": request_id or None,
        },
    )
    return added.rowcount == 1


async def of_request(conn: AsyncConnection, request_id: str) -> Target | None:
    """The target that this request made before; None when there is none."""
    return await _one(conn, "request_id = :named", request_id) if request_id else None


async def find(conn: AsyncConnection, target_id: str) -> Target | None:
    """One target; None when there is none."""
    return await _one(conn, "target_id = :named", target_id)


async def page(conn: AsyncConnection, after: str, limit: int) -> list[Target]:
    """Up to `limit` targets by id, after the one named."""
    query = text(f"select {TARGET} from targets where target_id > :after order by target_id limit :most")
    rows = await conn.execute(query, {"after": after, "most": limit})
    return [_target(row) for row in rows.mappings()]


async def every(conn: AsyncConnection) -> list[Target]:
    """All targets."""
    rows = await conn.execute(text(f"select {TARGET} from targets order by target_id"))
    return [_target(row) for row in rows.mappings()]


async def count(conn: AsyncConnection) -> int:
    """How many targets there are."""
    return int((await conn.execute(text("select count(*) from targets"))).scalar_one())


async def version(conn: AsyncConnection) -> object:
    """Another value whenever targets have changed."""
    found = await conn.execute(
        text("select count(*), max(created_at), min(target_id), max(target_id) from targets")
    )
    return tuple(found.one())


async def remove(conn: AsyncConnection, target_id: str) -> bool:
    """Removes a target and what it promised, but for what was broken; False when there is none."""
    await conn.execute(
        text("delete from promises where target_id = :target_id and breached_at is null"),
        {"target_id": target_id},
    )
    await conn.execute(
        text("update promises set next_at = null where target_id = :target_id and next_at is not null"),
        {"target_id": target_id},
    )
    gone = await conn.execute(
        text("delete from targets where target_id = :target_id"), {"target_id": target_id}
    )
    return gone.rowcount == 1


async def facts(conn: AsyncConnection, alert_ids: Sequence[UUID]) -> list[Fact]:
    """The facts of these alerts, by id."""
    query = text(f"select {COLUMNS} from facts where alert_id = any (:ids) order by alert_id")
    return listing.read((await conn.execute(query, {"ids": list(alert_ids)})).mappings().all())


async def make(conn: AsyncConnection, promises: Sequence[Promise]) -> None:
    """Adds promises; one that was made before stays as it is."""
    if promises:
        await conn.execute(
            text(
                f"""insert into promises ({PROMISE}, next_at)
                select {PROMISE}, next_at from json_to_recordset(cast(:promises as json)) as made ({_TYPED})
                where exists (select from targets where targets.target_id = made.target_id)
                order by alert_id, target_id, kind on conflict do nothing"""
            ),
            {"promises": _records(promises)},
        )


async def of_alerts(conn: AsyncConnection, alert_ids: Sequence[UUID]) -> list[Promise]:
    """What is promised of these alerts, locked until the end of the transaction."""
    query = text(
        f"""select {PROMISE} from promises where alert_id = any (:ids)
        order by alert_id, target_id, kind for update"""
    )
    return _promises(await conn.execute(query, {"ids": list(alert_ids)}))


async def claim_due(conn: AsyncConnection, now: datetime, limit: int) -> list[Promise]:
    """Promises of which there is something to tell, locked; those that another replica has are passed over."""
    query = text(
        f"""select {PROMISE} from promises where next_at <= :now order by next_at limit :most
        for update skip locked"""
    )
    return _promises(await conn.execute(query, {"now": now, "most": limit}))


async def save(conn: AsyncConnection, promises: Sequence[Promise]) -> None:
    """Writes how promises stand now."""
    if promises:
        await conn.execute(
            text(
                f"""update promises set state = now.state, settled_at = now.settled_at,
                    breached_at = now.breached_at, next_at = now.next_at
                from json_to_recordset(cast(:promises as json)) as now ({_TYPED})
                where (promises.alert_id, promises.target_id, promises.kind)
                    = (now.alert_id, now.target_id, now.kind)"""
            ),
            {"promises": _records(promises)},
        )


async def due_in(conn: AsyncConnection, now: datetime) -> timedelta | None:
    """How long until there is something to tell; None when there is nothing."""
    at = (
        await conn.execute(text("select min(next_at) from promises where next_at is not null"))
    ).scalar_one()
    return None if at is None else at - now


async def breaches(
    conn: AsyncConnection,
    *,
    target_id: str,
    start: datetime | None,
    end: datetime | None,
    after: tuple[datetime, UUID, str, str] | None,
    limit: int,
) -> list[Promise]:
    """Broken promises, the newest first; `after` is the last one of the page before."""
    conditions = ["breached_at is not null"]
    said: dict[str, object] = {"most": limit}
    if target_id:
        conditions.append("target_id = :target_id")
        said["target_id"] = target_id
    if start:
        conditions.append("breached_at >= :start")
        said["start"] = start
    if end:
        conditions.append("breached_at < :end")
        said["end"] = end
    if after:
        conditions.append("(breached_at, alert_id, target_id, kind) < (:at, :alert, :target, :kind)")
        said |= dict(zip(("at", "alert", "target", "kind"), after, strict=True))
    query = text(
        f"""select {PROMISE} from promises where {" and ".join(conditions)}
        order by breached_at desc, alert_id desc, target_id desc, kind desc limit :most"""
    )
    return _promises(await conn.execute(query, said))


async def tally(
    conn: AsyncConnection, target_id: str, windows: Sequence[timedelta], now: datetime
) -> Mapping[Kind, list[Tally]]:
    """The promises that were made in each of the windows until now, by kind."""
    counts = ", ".join(
        f"""count(*) filter (where started_at >= :since{n}) as made{n},
        count(*) filter (where started_at >= :since{n} and state = 'KEPT') as kept{n},
        count(*) filter (where started_at >= :since{n} and state = 'BREACHED') as broken{n}"""
        for n in range(len(windows))
    )
    rows = await conn.execute(
        text(
            f"""select kind, {counts} from promises
            where target_id = :target_id and started_at >= :since and started_at <= :now group by kind"""
        ),
        {
            "target_id": target_id,
            "now": now,
            "since": now - max(windows),
            **{f"since{n}": now - window for n, window in enumerate(windows)},
        },
    )
    return {
        Kind(row["kind"]): [
            Tally(row[f"made{n}"], row[f"kept{n}"], row[f"broken{n}"]) for n in range(len(windows))
        ]
        for row in rows.mappings()
    }


def _promises(rows: Any) -> list[Promise]:
    return [
        Promise(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])}) for row in rows.mappings()
    ]


def _records(promises: Iterable[Promise]) -> str:
    return recordset(asdict(promise) | {"next_at": promise.next_at} for promise in promises)


async def _one(conn: AsyncConnection, condition: str, named: str) -> Target | None:
    query = text(f"select {TARGET} from targets where {condition}")
    row = (await conn.execute(query, {"named": named})).mappings().one_or_none()
    return None if row is None else _target(row)


def _target(row: Mapping[Any, Any]) -> Target:
    return Target(
        target_id=row["target_id"],
        display_name=row["display_name"],
        matchers=tuple(row["matchers"]),
        acknowledge_within=row["acknowledge_within"],
        resolve_within=row["resolve_within"],
        hours=None if row["hours"] is None else _hours(row["hours"]),
        at_risk_share=row["at_risk_share"],
        objective=row["objective"],
        window=row["budget_window"],
        created_at=row["created_at"],
    )


def _written(hours: BusinessHours) -> dict[str, object]:
    windows = [
        [sorted(window.weekdays), window.start_time.isoformat(), window.end_time.isoformat()]
        for window in hours.windows
    ]
    return {"time_zone": hours.time_zone, "windows": windows}


def _hours(value: Mapping[str, Any]) -> BusinessHours:
    windows = tuple(
        Hours(frozenset(days), time.fromisoformat(start), time.fromisoformat(end))
        for days, start, end in value["windows"]
    )
    return BusinessHours(value["time_zone"], windows)
