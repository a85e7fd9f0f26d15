"""The whole roster read into memory, and again only what has changed since."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import TypeVar

from sqlalchemy import Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from services.roster.domain.coverage import Plan
from services.roster.domain.roster import Roster
from services.roster.domain.schedule import Schedule
from services.roster.domain.shift import Override, Shift
from services.roster.domain.timeline import Timeline
from services.roster.storage import time_off
from services.roster.storage.overrides import COLUMNS as OVERRIDE
from services.roster.storage.schedules import COLUMNS as SCHEDULE
from services.roster.storage.shifts import COLUMNS as SHIFT
from services.roster.tables import overrides, responders, schedules, shifts, teams

Row = TypeVar("Row", Shift, Override)
MEMBERS = teams.c.team_id, teams.c.responder_ids


async def version(conn: AsyncConnection) -> object:
    """Something that is different after any change of the roster."""
    people = func.bit_xor(func.hashtextextended(responders.c.responder_id, responders.c.revision))
    plans = func.bit_xor(func.hashtextextended(schedules.c.schedule_id, schedules.c.revision))
    groups = func.bit_xor(func.hashtextextended(teams.c.team_id, teams.c.revision))
    query = select(
        select(people).scalar_subquery(),
        select(plans).scalar_subquery(),
        select(groups).scalar_subquery(),
    )
    return (await conn.execute(query)).one()


class Reader:
    """Reads the roster; the timelines of schedules that have not changed since are kept with what they remember."""

    def __init__(self) -> None:
        self._last = Roster(frozenset(), {}, {})

    async def load(self, conn: AsyncConnection) -> Roster:
        """The roster as it is now."""
        people = frozenset((await conn.execute(select(responders.c.responder_id))).scalars())
        revisions = select(schedules.c.schedule_id, schedules.c.revision).order_by(schedules.c.schedule_id)
        timelines: dict[str, Timeline | None] = {
            schedule_id: self._unchanged(schedule_id, revision)
            for schedule_id, revision in await conn.execute(revisions)
        }
        changed = await plans(conn, [name for name, timeline in timelines.items() if timeline is None])
        timelines |= {plan.schedule.schedule_id: Timeline(plan) for plan in changed}
        members = {row.team_id: row.responder_ids for row in await conn.execute(select(*MEMBERS))}
        self._last = Roster(people, {name: of for name, of in timelines.items() if of}, members)
        return self._last

    def _unchanged(self, schedule_id: str, revision: int) -> Timeline | None:
        timeline = self._last.timelines.get(schedule_id)
        return timeline if timeline is not None and timeline.plan.revision == revision else None


async def plans(conn: AsyncConnection, schedule_ids: Collection[str]) -> list[Plan]:
    """The plans of some schedules; those that do not exist are left out."""
    if not schedule_ids:
        return []
    named = any_(literal([*schedule_ids], ARRAY(Text)))
    # The revision is read first: what changes in between is read again next time.
    found = await conn.execute(
        select(*SCHEDULE, schedules.c.revision).where(schedules.c.schedule_id == named)
    )
    rows = [row._asdict() for row in found]
    shift_rows = await conn.execute(select(*SHIFT).where(shifts.c.schedule_id == named))
    of_shifts = _by_schedule(Shift(**row._asdict()) for row in shift_rows)
    override_rows = await conn.execute(select(*OVERRIDE).where(overrides.c.schedule_id == named))
    of_overrides = _by_schedule(Override(**row._asdict()) for row in override_rows)
    made = []
    for row in rows:
        revision, name = row.pop("revision"), row["schedule_id"]
        made.append(Plan(Schedule(**row), of_shifts[name], of_overrides[name], revision))
    entries = await time_off.of_people(conn, {name for plan in made for name in plan.people})
    return [
        replace(plan, time_off=[entry for name in plan.people for entry in entries.get(name, ())])
        for plan in made
    ]


def _by_schedule(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        grouped[row.schedule_id].append(row)
    return grouped
