"""What requests name must exist: people and schedules, held until the end of the transaction."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis.errors import Problems
from services.roster.domain.schedule import Schedule
from services.roster.domain.team import Team
from services.roster.storage import responders, schedules


async def check_people(conn: AsyncConnection, people: Mapping[str, str], problems: Problems) -> None:
    """Notes each of the people, by the path of the field that names them, who does not exist."""
    unknown = await responders.missing(conn, {*people.values()} - {""})
    for path, responder_id in people.items():
        if responder_id in unknown:
            problems.add(path, f"the responder {responder_id[:64]!r} does not exist")


async def check_layers(conn: AsyncConnection, schedule: Schedule, problems: Problems) -> None:
    """Notes each person of the layers who does not exist."""
    people = {
        f"layers[{i}].responder_ids[{j}]": responder_id
        for i, layer in enumerate(schedule.layers)
        for j, responder_id in enumerate(layer.responder_ids)
    }
    await check_people(conn, people, problems)


async def check_members(conn: AsyncConnection, team: Team, problems: Problems) -> None:
    """Notes each person of a team who does not exist."""
    people = {f"responder_ids[{place}]": name for place, name in enumerate(team.responder_ids)}
    await check_people(conn, people, problems)


async def check_schedule(conn: AsyncConnection, schedule_id: str, problems: Problems) -> None:
    """Notes that there is no such schedule."""
    if not await schedules.hold(conn, schedule_id):
        problems.add("schedule_id", f"the schedule {schedule_id[:64]!r} does not exist")


async def touch_schedule(conn: AsyncConnection, schedule_id: str, now: datetime, problems: Problems) -> None:
    """Notes that the schedule changes, or that there is no such schedule."""
    if not await schedules.touch(conn, schedule_id, now):
        problems.add("schedule_id", f"the schedule {schedule_id[:64]!r} does not exist")
