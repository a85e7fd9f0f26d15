"""The gRPC methods of ShiftService."""

import asyncio
from bisect import bisect_right
from uuid import UUID

from google.protobuf import empty_pb2

from chassis import outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, NotFound, Problems
from chassis.ids import parse_uuid
from chassis.server import Context
from identity.audit import audited
from services.roster.api import ownership, references
from services.roster.convert import events
from services.roster.convert import shifts as convert
from services.roster.domain.interval import Interval
from services.roster.domain.listing import Listed, in_window, listed
from services.roster.domain.shift import Filter, Shift
from services.roster.memory import Memory
from services.roster.storage import overrides, schedules, shifts
from tocsin.roster.v1 import shift_pb2, shift_service_pb2, shift_service_pb2_grpc


class ShiftApi(shift_service_pb2_grpc.ShiftServiceServicer):
    """Explicit shifts and overrides."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateShift(self, request: shift_service_pb2.CreateShiftRequest, _: Context) -> shift_pb2.Shift:
        """Creates a shift, or answers the one that the same request made before."""
        now, problems = self._clock.now(), Problems()
        shift = convert.new_shift(request, problems)
        async with audited(self._db) as conn:
            made = await shifts.of_request(conn, request.request_id)
            if made is not None:
                return convert.shift_to_wire(made)
            await references.check_people(conn, {"responder_id": shift.responder_id}, problems)
            await references.touch_schedule(conn, shift.schedule_id, now, problems)
            await ownership.check_schedule(conn, shift.schedule_id)
            problems.check()
            if not await shifts.add(conn, shift, request.request_id):
                made = await shifts.of_request(conn, request.request_id)
                if made is None:
                    raise _overlap(shift, await shifts.overlapping(conn, shift))
                return convert.shift_to_wire(made)
            created = events.changed(
                "shift", str(shift.shift_id), "created", now, schedule_id=shift.schedule_id
            )
            await outbox.append(conn, [created])
        await self._memory.changed()
        return convert.shift_to_wire(shift)

    async def GetShift(self, request: shift_service_pb2.GetShiftRequest, _: Context) -> shift_pb2.Shift:
        """Reads one explicit shift."""
        shift_id = parse_uuid(request.shift_id, "shift_id")
        async with self._db.connect() as conn:
            shift = await shifts.find(conn, shift_id)
        if shift is None:
            raise _unknown("shift", shift_id)
        return convert.shift_to_wire(shift)

    async def ListShifts(
        self, request: shift_service_pb2.ListShiftsRequest, _: Context
    ) -> shift_service_pb2.ListShiftsResponse:
        """Lists explicit shifts by start, and in a window also those that layers and overrides make."""
        size, only = paging.size(request.page_size), convert.filters(request)
        window = convert.computed_window(only)
        after = convert.place(paging.after(request.page_token, 4))
        if window is None:
            async with self._db.connect() as conn:
                found = [listed(shift) for shift in await shifts.page(conn, only, after, size + 1)]
        else:
            found = await asyncio.to_thread(self._in_window, only, window)
            found = found[bisect_right(found, after, key=Listed.place) if after else 0 :][: size + 1]
        page, token = paging.page(found, size, convert.page_key(found[:size]))
        return shift_service_pb2.ListShiftsResponse(
            shifts=[convert.listed_to_wire(shift) for shift in page], next_page_token=token
        )

    def _in_window(self, only: Filter, window: Interval) -> list[Listed]:
        """The shifts of a window, computed ones too, of the schedule and the person that are meant."""
        timelines = self._memory.roster.timelines
        chosen = [only.schedule_id] if only.schedule_id in timelines else []
        names = chosen if only.schedule_id else timelines
        found = in_window([timelines[name].plan for name in names], window)
        return [shift for shift in found if only.responder_id in ("", shift.responder_id)]

    async def DeleteShift(self, request: shift_service_pb2.DeleteShiftRequest, _: Context) -> empty_pb2.Empty:
        """Deletes an explicit shift."""
        now, shift_id = self._clock.now(), parse_uuid(request.shift_id, "shift_id")
        async with audited(self._db) as conn:
            shift = await shifts.find(conn, shift_id)
            if shift is None or not await shifts.remove(conn, shift_id):
                raise _unknown("shift", shift_id)
            await schedules.touch(conn, shift.schedule_id, now)
            await ownership.check_schedule(conn, shift.schedule_id)
            deleted = events.changed("shift", str(shift_id), "deleted", now, schedule_id=shift.schedule_id)
            await outbox.append(conn, [deleted])
        await self._memory.changed()
        return empty_pb2.Empty()

    async def CreateOverride(
        self, request: shift_service_pb2.CreateOverrideRequest, _: Context
    ) -> shift_pb2.Override:
        """Creates an override, or answers the one that the same request made before."""
        now, problems = self._clock.now(), Problems()
        override = convert.new_override(request, now, problems)
        people = {
            "responder_id": override.responder_id or "",
            "replaced_responder_id": override.replaced_responder_id or "",
        }
        async with audited(self._db) as conn:
            made = await overrides.of_request(conn, request.request_id)
            if made is not None:
                return convert.override_to_wire(made)
            await references.check_people(conn, people, problems)
            await references.touch_schedule(conn, override.schedule_id, now, problems)
            await ownership.check_schedule(conn, override.schedule_id)
            problems.check()
            if not await overrides.add(conn, override, request.request_id):
                made = await overrides.of_request(conn, request.request_id)
                assert made is not None  # nothing but the request id can be taken
                return convert.override_to_wire(made)
            created = events.changed(
                "override", str(override.override_id), "created", now, schedule_id=override.schedule_id
            )
            await outbox.append(conn, [created])
        await self._memory.changed()
        return convert.override_to_wire(override)

    async def ListOverrides(
        self, request: shift_service_pb2.ListOverridesRequest, _: Context
    ) -> shift_service_pb2.ListOverridesResponse:
        """Lists overrides, the newest first."""
        size = paging.size(request.page_size)
        only = convert.filters(request)
        after = convert.age(paging.after(request.page_token, 2))
        async with self._db.connect() as conn:
            found = await overrides.page(conn, only, after, size + 1)
        page, token = paging.page(found, size, convert.age_key(found[:size]))
        return shift_service_pb2.ListOverridesResponse(
            overrides=[convert.override_to_wire(override) for override in page], next_page_token=token
        )

    async def DeleteOverride(
        self, request: shift_service_pb2.DeleteOverrideRequest, _: Context
    ) -> empty_pb2.Empty:
        """Deletes an override."""
        now, override_id = self._clock.now(), parse_uuid(request.override_id, "override_id")
        async with audited(self._db) as conn:
            override = await overrides.find(conn, override_id)
            if override is None or not await overrides.remove(conn, override_id):
                raise _unknown("override", override_id)
            await schedules.touch(conn, override.schedule_id, now)
            await ownership.check_schedule(conn, override.schedule_id)
            deleted = events.changed(
                "override", str(override_id), "deleted", now, schedule_id=override.schedule_id
            )
            await outbox.append(conn, [deleted])
        await self._memory.changed()
        return empty_pb2.Empty()


def _overlap(shift: Shift, other: Shift | None) -> AlreadyExists:
    when = (
        f" from {other.starts_at:%Y-%m-%dT%H:%M:%SZ} to {other.ends_at:%Y-%m-%dT%H:%M:%SZ}" if other else ""
    )
    name = f" {other.shift_id}" if other else ""
    return AlreadyExists(
        f"the shift overlaps the shift{name} of {shift.responder_id!r} on the schedule {shift.schedule_id!r}{when}",
        reason="SHIFT_OVERLAPS",
    )


def _unknown(kind: str, resource_id: UUID) -> NotFound:
    return NotFound(f"the {kind} {str(resource_id)!r} does not exist", reason=f"UNKNOWN_{kind.upper()}")
