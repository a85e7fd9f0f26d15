"""Runs in the database: whoever has time goes on with the oldest."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.run import Kind, Run, State

_COLUMNS = "run_id, kind, state, requested_at, finished_at, next_at, done, total, differences, ahead"

_ALONE = "select pg_try_advisory_xact_lock(hashtext('runs'), hashtext(current_schema()))"


async def add(conn: AsyncConnection, run: Run, request_id: str) -> Run:
    """Adds a run, or answers the one that the same request made before."""
    said = {"run_id": run.run_id, "kind": run.kind, "at": run.requested_at, "request_id": request_id or None}
    await conn.execute(
        text(
            """insert into runs (run_id, kind, state, requested_at, done, total, differences, request_id)
            values (:run_id, :kind, 'RUNNING', :at, 0, 0, 0, :request_id) on conflict do nothing"""
        ),
        said,
    )
    condition = "request_id = :request_id" if request_id else "run_id = :run_id"
    row = await conn.execute(text(f"select {_COLUMNS} from runs where {condition}"), said)
    return _run(row.mappings().one())


async def find(conn: AsyncConnection, run_id: UUID) -> Run | None:
    """One run; None when there is none."""
    row = await conn.execute(text(f"select {_COLUMNS} from runs where run_id = :run_id"), {"run_id": run_id})
    found = row.mappings().one_or_none()
    return None if found is None else _run(found)


async def claim(conn: AsyncConnection) -> Run | None:
    """The oldest run under way, for this transaction alone, as long as its next blocks take; None when there is none,
    or another replica is at it."""
    await conn.execute(text("set local idle_in_transaction_session_timeout = 0"))
    if not (await conn.execute(text(_ALONE))).scalar_one():
        return None
    row = await conn.execute(
        text(f"select {_COLUMNS} from runs where state = 'RUNNING' order by requested_at limit 1")
    )
    found = row.mappings().one_or_none()
    return None if found is None else _run(found)


async def save(conn: AsyncConnection, run: Run) -> None:
    """Writes how far a run has come; what was ahead is in it."""
    await conn.execute(
        text(
            """update runs set state = :state, finished_at = :finished_at, next_at = :next_at, done = :done,
                total = :total, differences = :differences, ahead = 0 where run_id = :run_id"""
        ),
        {
            "state": run.state,
            "finished_at": run.finished_at,
            "next_at": run.next_at,
            "done": run.done,
            "total": run.total,
            "differences": run.differences,
            "run_id": run.run_id,
        },
    )


async def advance(conn: AsyncConnection, run_id: UUID, ahead: int) -> None:
    """Writes how much of the next blocks is done."""
    await conn.execute(
        text("update runs set ahead = :ahead where run_id = :run_id"), {"ahead": ahead, "run_id": run_id}
    )


async def facts(conn: AsyncConnection) -> int:
    """How many facts there are that figures are made of."""
    return int((await conn.execute(text("select count(opened_at) from facts"))).scalar_one())


async def forget_seen(conn: AsyncConnection, consumers: Sequence[str]) -> None:
    """Forgets which events were seen, so that they are taken in again."""
    await conn.execute(
        text("delete from inbox where consumer = any (:consumers)"), {"consumers": list(consumers)}
    )


def _run(row: Any) -> Run:
    return Run(**{**row, "kind": Kind(row["kind"]), "state": State(row["state"])})
