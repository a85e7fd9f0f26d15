"""The gRPC methods of ResponderService."""

from google.protobuf import empty_pb2

from chassis import outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, Conflict, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from services.roster.convert import events
from services.roster.convert import responders as convert
from services.roster.domain.succession import needs
from services.roster.memory import Memory
from services.roster.storage import responders, schedules, teams
from tocsin.roster.v1 import responder_pb2, responder_service_pb2, responder_service_pb2_grpc


class ResponderApi(responder_service_pb2_grpc.ResponderServiceServicer):
    """The people who can be paged."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateResponder(
        self, request: responder_service_pb2.CreateResponderRequest, _: Context
    ) -> responder_pb2.Responder:
        """Creates a responder, or answers the one that the same request made before."""
        now, problems = self._clock.now(), Problems()
        responder = convert.new(request, now, problems)
        problems.check()
        async with audited(self._db) as conn:
            if not await responders.add(conn, responder, request.request_id):
                made = await responders.of_request(conn, request.request_id)
                if made is None:
                    raise AlreadyExists.field(
                        "responder_id", f"the responder {responder.responder_id!r} exists already"
                    )
                return convert.to_wire(made)
            await outbox.append(conn, [events.changed("responder", responder.responder_id, "created", now)])
        await self._memory.changed()
        return convert.to_wire(responder)

    async def GetResponder(
        self, request: responder_service_pb2.GetResponderRequest, _: Context
    ) -> responder_pb2.Responder:
        """Reads one responder."""
        async with self._db.connect() as conn:
            responder = await responders.find(conn, request.responder_id)
        if responder is None:
            raise _unknown(request.responder_id)
        return convert.to_wire(responder)

    async def ListResponders(
        self, request: responder_service_pb2.ListRespondersRequest, _: Context
    ) -> responder_service_pb2.ListRespondersResponse:
        """Lists responders by id."""
        size = paging.size(request.page_size)
        [after] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await responders.page(conn, after, size + 1)
        page, token = paging.page(found, size, [found[:size][-1].responder_id if found else ""])
        return responder_service_pb2.ListRespondersResponse(
            responders=[convert.to_wire(responder) for responder in page], next_page_token=token
        )

    async def UpdateResponder(
        self, request: responder_service_pb2.UpdateResponderRequest, _: Context
    ) -> responder_pb2.Responder:
        """Changes a responder."""
        now, problems = self._clock.now(), Problems()
        responder_id = request.responder.responder_id
        async with audited(self._db) as conn:
            responder = await responders.find(conn, responder_id, lock=True)
            if responder is None:
                raise _unknown(responder_id)
            responder = convert.changed(responder, request, problems)
            problems.check()
            await responders.change(conn, responder)
            await outbox.append(conn, [events.changed("responder", responder_id, "updated", now)])
        await self._memory.changed()
        return convert.to_wire(responder)

    async def DeleteResponder(
        self, request: responder_service_pb2.DeleteResponderRequest, _: Context
    ) -> empty_pb2.Empty:
        """Deletes a responder whom nothing needs any more."""
        now, responder_id = self._clock.now(), request.responder_id
        async with audited(self._db) as conn:
            if await responders.find(conn, responder_id, lock=True) is None:
                raise _unknown(responder_id)
            used = await responders.uses(conn, responder_id, now)
            for schedule in await schedules.naming(conn, responder_id):
                if needs(schedule, responder_id, now):
                    used.append(f"layers of the schedule {schedule.schedule_id!r}")
            used += [f"the team {team_id!r}" for team_id in await teams.naming(conn, responder_id)]
            if used:
                raise Conflict(
                    f"the responder {responder_id!r} is named by {', '.join(used)}", reason="RESPONDER_IN_USE"
                )
            await responders.remove(conn, responder_id, now)
            await outbox.append(conn, [events.changed("responder", responder_id, "deleted", now)])
        await self._memory.changed()
        return empty_pb2.Empty()


def _unknown(responder_id: str) -> NotFound:
    return NotFound(f"the responder {responder_id[:64]!r} does not exist", reason="UNKNOWN_RESPONDER")
