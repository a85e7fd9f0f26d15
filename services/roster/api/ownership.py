"""Who may edit: what belongs to a team is its members', a team with managers is theirs."""

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import auth
from chassis.errors import Denied, Problems
from services.roster.domain.team import Team
from services.roster.storage import schedules, teams


async def check_schedule(conn: AsyncConnection, schedule_id: str) -> None:
    """Raises Denied when the schedule belongs to a team that the caller is not in."""
    await check_owner(conn, await schedules.owner(conn, schedule_id))


async def check_owner(conn: AsyncConnection, team_id: str) -> None:
    """Raises Denied when the caller is not in the team; anybody may edit what belongs to none."""
    caller = auth.caller()
    if not team_id or caller.has(auth.ADMIN):
        return
    team = await teams.find(conn, team_id)
    if team is None or not team.may_edit(caller.subject):
        raise Denied(
            f"{caller.subject!r} is not in the team {team_id!r}, whose it is", reason="TEAM_REQUIRED"
        )


async def check_new_owner(conn: AsyncConnection, team_id: str, problems: Problems) -> None:
    """Notes a team that does not exist; raises Denied when the caller is not in it."""
    if team_id and await teams.find(conn, team_id) is None:
        problems.add("team_id", f"the team {team_id[:64]!r} does not exist")
    else:
        await check_owner(conn, team_id)


def check_manager(team: Team) -> None:
    """Raises Denied when the team has managers and the caller is none of them."""
    caller = auth.caller()
    if not (caller.has(auth.ADMIN) or team.may_manage(caller.subject)):
        raise Denied(
            f"{caller.subject!r} does not manage the team {team.team_id!r}", reason="MANAGER_REQUIRED"
        )
