"""The gRPC methods of ScheduleService."""

import asyncio
from dataclasses import replace

from google.protobuf import empty_pb2

from chassis import outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, NotFound, Problems, Refused
from chassis.server import Context
from identity.audit import audited
from services.roster.api import ownership, references
from services.roster.convert import events, previews, proposals
from services.roster.convert import schedules as convert
from services.roster.domain.coverage import Plan
from services.roster.domain.preview import compared, preview
from services.roster.domain.schedule import DEFAULT
from services.roster.domain.succession import succeed
from services.roster.memory import Memory
from services.roster.storage import schedules, time_off
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2, schedule_service_pb2_grpc


class ScheduleApi(schedule_service_pb2_grpc.ScheduleServiceServicer):
    """Schedules and their preview."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateSchedule(
        self, request: schedule_service_pb2.CreateScheduleRequest, _: Context
    ) -> schedule_pb2.Schedule:
        """Creates a schedule, or answers the one that the same request made before."""
        now, problems = self._clock.now(), Problems()
        schedule = convert.new(request, now, problems)
        async with audited(self._db) as conn:
            made = await schedules.of_request(conn, request.request_id)
            if made is not None:
                return convert.to_wire(made)
            await references.check_layers(conn, schedule, problems)
            await ownership.check_new_owner(conn, schedule.team_id, problems)
            problems.check()
            if not await schedules.add(conn, schedule, request.request_id):
                made = await schedules.of_request(conn, request.request_id)
                if made is None:
                    raise AlreadyExists.field(
                        "schedule_id", f"the schedule {schedule.schedule_id!r} exists already"
                    )
                return convert.to_wire(made)
            created = events.changed(
                "schedule", schedule.schedule_id, "created", now, schedule_id=schedule.schedule_id
            )
            await outbox.append(conn, [created])
        await self._memory.changed()
        return convert.to_wire(schedule)

    async def GetSchedule(
        self, request: schedule_service_pb2.GetScheduleRequest, _: Context
    ) -> schedule_pb2.Schedule:
        """Reads one schedule."""
        async with self._db.connect() as conn:
            schedule = await schedules.find(conn, request.schedule_id)
        if schedule is None:
            raise _unknown(request.schedule_id)
        return convert.to_wire(schedule)

    async def ListSchedules(
        self, request: schedule_service_pb2.ListSchedulesRequest, _: Context
    ) -> schedule_service_pb2.ListSchedulesResponse:
        """Lists schedules by id."""
        size = paging.size(request.page_size)
        [after] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await schedules.page(conn, after, size + 1)
        page, token = paging.page(found, size, [found[:size][-1].schedule_id if found else ""])
        return schedule_service_pb2.ListSchedulesResponse(
            schedules=[convert.to_wire(schedule) for schedule in page], next_page_token=token
        )

    async def UpdateSchedule(
        self, request: schedule_service_pb2.UpdateScheduleRequest, _: Context
    ) -> schedule_pb2.Schedule:
        """Changes a schedule."""
        now, problems = self._clock.now(), Problems()
        schedule_id = request.schedule.schedule_id
        async with audited(self._db) as conn:
            schedule = await schedules.find(conn, schedule_id, lock=True)
            if schedule is None:
                raise _unknown(schedule_id)
            await ownership.check_owner(conn, schedule.team_id)
            convert.check_etag(schedule, request)
            edited = convert.changed(schedule, request, problems)
            if edited.team_id != schedule.team_id:
                await ownership.check_new_owner(conn, edited.team_id, problems)
            await references.check_layers(conn, edited, problems)
            problems.check()
            schedule = succeed(schedule, edited, now, await time_off.away(conn, now))
            await schedules.change(conn, schedule, now)
            changed = events.changed("schedule", schedule_id, "updated", now, schedule_id=schedule_id)
            await outbox.append(conn, [changed])
        await self._memory.changed()
        return convert.to_wire(schedule)

    async def DeleteSchedule(
        self, request: schedule_service_pb2.DeleteScheduleRequest, _: Context
    ) -> empty_pb2.Empty:
        """Deletes a schedule with its shifts and overrides."""
        now, schedule_id = self._clock.now(), request.schedule_id
        if schedule_id == DEFAULT:
            raise Refused(f"the schedule {DEFAULT!r} always exists", reason="DEFAULT_SCHEDULE")
        async with audited(self._db) as conn:
            await ownership.check_schedule(conn, schedule_id)
            if not await schedules.remove(conn, schedule_id):
                raise _unknown(schedule_id)
            deleted = events.changed("schedule", schedule_id, "deleted", now, schedule_id=schedule_id)
            await outbox.append(conn, [deleted])
        await self._memory.changed()
        return empty_pb2.Empty()

    async def PreviewSchedule(
        self, request: schedule_service_pb2.PreviewScheduleRequest, _: Context
    ) -> schedule_service_pb2.PreviewScheduleResponse:
        """Who is on call in a window, and where nobody is."""
        problems = Problems()
        window = previews.window(request, self._clock.now(), problems)
        plan = self._plan(request.schedule_id)
        problems.check()
        return previews.to_wire(await asyncio.to_thread(preview, plan, window))

    async def PreviewScheduleChange(
        self, request: schedule_service_pb2.PreviewScheduleChangeRequest, _: Context
    ) -> schedule_service_pb2.PreviewScheduleChangeResponse:
        """Who would be on call in a window after a change, and what is different."""
        now, problems = self._clock.now(), Problems()
        window = previews.window(request, now, problems)
        plan = self._plan(request.schedule_id)
        proposed = proposals.read(request, plan, self._memory.roster.responders, now, problems)
        problems.check()
        async with self._db.connect() as conn:
            away = await time_off.away(conn, now)
            proposed = replace(proposed, schedule=succeed(plan.schedule, proposed.schedule, now, away))
            entries = await time_off.of_people(conn, proposed.people)
        proposed = replace(proposed, time_off=[entry for of in entries.values() for entry in of])
        shown, changes = await asyncio.to_thread(compared, plan, proposed, window)
        return previews.compared_to_wire(shown, changes, proposals.unsaved(plan, proposed))

    def _plan(self, schedule_id: str) -> Plan:
        timeline = self._memory.roster.timelines.get(schedule_id)
        if timeline is None:
            raise _unknown(schedule_id)
        return timeline.plan


def _unknown(schedule_id: str) -> NotFound:
    return NotFound(f"the schedule {schedule_id[:64]!r} does not exist", reason="UNKNOWN_SCHEDULE")
