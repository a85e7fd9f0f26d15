"""Facts one by one: the alerts behind a number."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from services.sla.domain.fact import Fact
from services.sla.domain.figures import Counted, Filter, Window
from services.sla.storage.facts import COLUMNS
from services.sla.storage.measures import SUMS
from services.sla.storage.rollups import MATCHING, asked

_SETS = ("told", "schedules", "responders", "reopenings")
_CONDITIONS = {Counted(name.upper()): sql.format(f="facts") for name, sql in SUMS.items()} | {
    Counted.REOPENED: "facts.opened and reopenings <> '{}'"
}


async def page(
    conn: AsyncConnection,
    window: Window,
    wanted: Filter,
    counted: Counted | None,
    *,
    after: tuple[datetime, UUID] | None,
    limit: int,
) -> list[Fact]:
    """The facts that a number counts, the newest first; `after` is the last one of the page before."""
    query = f"""select {COLUMNS} from facts
        where opened_at >= :start and opened_at < :until and {MATCHING}
        and ({_CONDITIONS[counted] if counted else "facts.opened or facts.suppressed or facts.noise_suppressed"})
        {"and (opened_at, alert_id) < (:opened_at, :alert_id)" if after else ""}
        order by opened_at desc, alert_id desc limit :most"""
    said = {"start": window.start, "until": window.end, "most": limit, **asked(wanted)}
    if after:
        said |= {"opened_at": after[0], "alert_id": after[1]}
    return read((await conn.execute(text(query), said)).mappings().all())


def read(rows: Sequence[Any]) -> list[Fact]:
    """Rows of facts."""
    return [_fact(dict(row)) for row in rows]


def _fact(row: dict[str, Any]) -> Fact:
    del row["timeout_escalated"]
    return Fact(**row | {name: frozenset(row[name]) for name in _SETS})
