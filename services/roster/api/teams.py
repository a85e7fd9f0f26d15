"""The gRPC methods of TeamService."""

from google.protobuf import empty_pb2

from chassis import outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, Conflict, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from services.roster.api import ownership, references
from services.roster.convert import events
from services.roster.convert import teams as convert
from services.roster.memory import Memory
from services.roster.storage import schedules, teams
from tocsin.roster.v1 import team_pb2, team_service_pb2, team_service_pb2_grpc

SHOWN = 10
"""How many of a team's schedules its refusal names."""


class TeamApi(team_service_pb2_grpc.TeamServiceServicer):
    """Teams of responders."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateTeam(self, request: team_service_pb2.CreateTeamRequest, _: Context) -> team_pb2.Team:
        """Creates a team, or answers the one that the same request made before."""
        now, problems = self._clock.now(), Problems()
        team = convert.new(request, now, problems)
        async with audited(self._db) as conn:
            made = await teams.of_request(conn, request.request_id)
            if made is not None:
                return convert.to_wire(made)
            await references.check_members(conn, team, problems)
            problems.check()
            if not await teams.add(conn, team, request.request_id):
                made = await teams.of_request(conn, request.request_id)
                if made is None:
                    raise AlreadyExists.field("team_id", f"the team {team.team_id!r} exists already")
                return convert.to_wire(made)
            await outbox.append(conn, [events.changed("team", team.team_id, "created", now)])
        await self._memory.changed()
        return convert.to_wire(team)

    async def GetTeam(self, request: team_service_pb2.GetTeamRequest, _: Context) -> team_pb2.Team:
        """Reads one team."""
        async with self._db.connect() as conn:
            team = await teams.find(conn, request.team_id)
        if team is None:
            raise _unknown(request.team_id)
        return convert.to_wire(team)

    async def ListTeams(
        self, request: team_service_pb2.ListTeamsRequest, _: Context
    ) -> team_service_pb2.ListTeamsResponse:
        """Lists teams by id."""
        size = paging.size(request.page_size)
        [after] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await teams.page(conn, request.responder_id, after, size + 1)
        page, token = paging.page(found, size, [found[:size][-1].team_id if found else ""])
        return team_service_pb2.ListTeamsResponse(
            teams=[convert.to_wire(team) for team in page], next_page_token=token
        )

    async def UpdateTeam(self, request: team_service_pb2.UpdateTeamRequest, _: Context) -> team_pb2.Team:
        """Changes a team."""
        now, problems = self._clock.now(), Problems()
        team_id = request.team.team_id
        async with audited(self._db) as conn:
            team = await teams.find(conn, team_id, lock=True)
            if team is None:
                raise _unknown(team_id)
            ownership.check_manager(team)
            team = convert.changed(team, request, problems)
            await references.check_members(conn, team, problems)
            problems.check()
            await teams.change(conn, team)
            await outbox.append(conn, [events.changed("team", team_id, "updated", now)])
        await self._memory.changed()
        return convert.to_wire(team)

    async def DeleteTeam(self, request: team_service_pb2.DeleteTeamRequest, _: Context) -> empty_pb2.Empty:
        """Deletes a team."""
        now, team_id = self._clock.now(), request.team_id
        async with audited(self._db) as conn:
            team = await teams.find(conn, team_id, lock=True)
            if team is None:
                raise _unknown(team_id)
            ownership.check_manager(team)
            if owned := await schedules.owned(conn, team_id):
                raise Conflict(
                    f"the team {team_id!r} owns the schedules {', '.join(owned[:SHOWN])}",
                    reason="TEAM_IN_USE",
                )
            await teams.remove(conn, team_id)
            await outbox.append(conn, [events.changed("team", team_id, "deleted", now)])
        await self._memory.changed()
        return empty_pb2.Empty()


def _unknown(team_id: str) -> NotFound:
    return NotFound(f"the team {team_id[:64]!r} does not exist", reason="UNKNOWN_TEAM")
