"""The gRPC methods of TimeOffService."""

from uuid import UUID

from google.protobuf import empty_pb2

from chassis import outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import NotFound, Problems
from chassis.ids import parse_uuid
from chassis.server import Context
from identity.audit import audited
from services.roster.api import references
from services.roster.convert import events
from services.roster.convert import time_off as convert
from services.roster.convert.shifts import age
from services.roster.memory import Memory
from services.roster.storage import responders, time_off
from tocsin.roster.v1 import time_off_pb2, time_off_service_pb2, time_off_service_pb2_grpc


class TimeOffApi(time_off_service_pb2_grpc.TimeOffServiceServicer):
    """Time off of responders."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateTimeOff(
        self, request: time_off_service_pb2.CreateTimeOffRequest, _: Context
    ) -> time_off_pb2.TimeOff:
        """Enters time off, or answers what the same request entered before."""
        now, problems = self._clock.now(), Problems()
        entry = convert.new(request, now, problems)
        async with audited(self._db) as conn:
            made = await time_off.of_request(conn, request.request_id)
            if made is not None:
                return convert.to_wire(made)
            await responders.find(conn, entry.responder_id, lock=True)
            await references.check_people(conn, {"responder_id": entry.responder_id}, problems)
            problems.check()
            if not await time_off.add(conn, entry, request.request_id):
                made = await time_off.of_request(conn, request.request_id)
                assert made is not None  # nothing but the request id can be taken
                return convert.to_wire(made)
            await time_off.touch_schedules(conn, entry.responder_id, now)
            created = events.changed("time_off", str(entry.time_off_id), "created", now)
            await outbox.append(conn, [created])
        await self._memory.changed()
        return convert.to_wire(entry)

    async def GetTimeOff(
        self, request: time_off_service_pb2.GetTimeOffRequest, _: Context
    ) -> time_off_pb2.TimeOff:
        """Reads one time off."""
        time_off_id = parse_uuid(request.time_off_id, "time_off_id")
        async with self._db.connect() as conn:
            entry = await time_off.find(conn, time_off_id)
        if entry is None:
            raise _unknown(time_off_id)
        return convert.to_wire(entry)

    async def ListTimeOff(
        self, request: time_off_service_pb2.ListTimeOffRequest, _: Context
    ) -> time_off_service_pb2.ListTimeOffResponse:
        """Lists time off by start."""
        size, only = paging.size(request.page_size), convert.filters(request)
        after = age(paging.after(request.page_token, 2))
        async with self._db.connect() as conn:
            found = await time_off.page(conn, only, after, size + 1)
        page, token = paging.page(found, size, convert.page_key(found[:size]))
        return time_off_service_pb2.ListTimeOffResponse(
            time_off=[convert.to_wire(entry) for entry in page], next_page_token=token
        )

    async def DeleteTimeOff(
        self, request: time_off_service_pb2.DeleteTimeOffRequest, _: Context
    ) -> empty_pb2.Empty:
        """Deletes time off."""
        now, time_off_id = self._clock.now(), parse_uuid(request.time_off_id, "time_off_id")
        async with audited(self._db) as conn:
            entry = await time_off.find(conn, time_off_id)
            if entry is None:
                raise _unknown(time_off_id)
            await responders.find(conn, entry.responder_id, lock=True)
            if not await time_off.remove(conn, time_off_id):
                raise _unknown(time_off_id)
            await time_off.touch_schedules(conn, entry.responder_id, now)
            await outbox.append(conn, [events.changed("time_off", str(time_off_id), "deleted", now)])
        await self._memory.changed()
        return empty_pb2.Empty()


def _unknown(time_off_id: UUID) -> NotFound:
    return NotFound(f"the time off {str(time_off_id)!r} does not exist", reason="UNKNOWN_TIME_OFF")
