"""The gRPC methods of CalendarService."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import outbox
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, Invalid, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from services.roster.api import ownership, references
from services.roster.convert import calendars, events, feeds, imports
from services.roster.convert.calendars import Read
from services.roster.domain import feed
from services.roster.domain.coverage import Plan
from services.roster.domain.shift import Shift
from services.roster.memory import Memory
from services.roster.storage import imports as stored
from tocsin.roster.v1 import calendar_service_pb2, calendar_service_pb2_grpc


class CalendarApi(calendar_service_pb2_grpc.CalendarServiceServicer):
    """Schedules as iCalendar, out and in."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def ExportCalendar(
        self, request: calendar_service_pb2.ExportCalendarRequest, _: Context
    ) -> calendar_service_pb2.ExportCalendarResponse:
        """The calendar of a schedule or of a responder."""
        match request.WhichOneof("of"):
            case "schedule_id":
                plans, only = [self._plan(request.schedule_id)], ""
            case "responder_id":
                plans, only = self._plans_of(request.responder_id), request.responder_id
            case _:
                raise Invalid.field("schedule_id", "or responder_id is required")
        now = self._clock.now()
        found = await asyncio.to_thread(_events, plans, only, now)
        async with self._db.connect() as conn:
            people = await stored.names(conn, {only, *(event.responder_id for event in found)} - {""})
        schedules = {plan.schedule.schedule_id: plan.schedule.display_name for plan in plans}
        title = people.get(only, only) if only else plans[0].schedule.display_name
        text = await asyncio.to_thread(
            feeds.to_text, f"On call: {title}", found, people=people, schedules=schedules, now=now
        )
        return calendar_service_pb2.ExportCalendarResponse(calendar=text)

    async def ImportCalendar(
        self, request: calendar_service_pb2.ImportCalendarRequest, _: Context
    ) -> calendar_service_pb2.ImportCalendarResponse:
        """Turns the events of a calendar into explicit shifts."""
        now, problems = self._clock.now(), Problems()
        window = calendars.window(request, now, problems)
        who = calendars.people(request, self._memory.roster.responders, problems)
        zone = self._plan(request.schedule_id).schedule.zone
        problems.check()
        read = await asyncio.to_thread(
            calendars.read, request.calendar, request.schedule_id, zone, window, who
        )
        async with audited(self._db) as conn:
            attempt = await conn.begin_nested()
            before, saved = await self._save(conn, read, request.schedule_id, now)
            if request.dry_run:
                await attempt.rollback()
        if not request.dry_run:
            await self._memory.changed()
        return imports.to_wire(read, before, saved, dry_run=request.dry_run)

    async def _save(
        self, conn: AsyncConnection, read: Read, schedule_id: str, now: datetime
    ) -> tuple[Mapping[str, Shift], set[UUID]]:
        """Saves what is new or has changed; what was there before, and the ids of all that are there now."""
        problems = Problems()
        persons = {shift.responder_id: shift.responder_id for shift in read.shifts.values()}
        await references.check_people(conn, persons, problems)
        before = await stored.of_requests(conn, read.shifts)
        for name, old in before.items():
            read.shifts[name] = replace(read.shifts[name], shift_id=old.shift_id)
        changed = {name: read.shifts[name] for name, old in before.items() if read.shifts[name] != old}
        created = {name: shift for name, shift in read.shifts.items() if name not in before}
        if not changed and not created:
            return before, {shift.shift_id for shift in before.values()}
        await references.touch_schedule(conn, schedule_id, now, problems)
        await ownership.check_schedule(conn, schedule_id)
        problems.check()
        await stored.remove(conn, [shift.shift_id for shift in changed.values()])
        _check_moved(changed, await stored.add(conn, changed))
        added = await stored.add(conn, created)
        told = [_told(shift, "updated", now) for shift in changed.values()]
        told += [_told(shift, "created", now) for shift in created.values() if shift.shift_id in added]
        await outbox.append(conn, told)
        return before, {shift.shift_id for shift in before.values()} | added

    def _plan(self, schedule_id: str) -> Plan:
        timeline = self._memory.roster.timelines.get(schedule_id)
        if timeline is None:
            raise NotFound(f"the schedule {schedule_id[:64]!r} does not exist", reason="UNKNOWN_SCHEDULE")
        return timeline.plan

    def _plans_of(self, responder_id: str) -> list[Plan]:
        """The plans of the schedules that may put a person on call."""
        if responder_id not in self._memory.roster.responders:
            raise NotFound(f"the responder {responder_id[:64]!r} does not exist", reason="UNKNOWN_RESPONDER")
        plans = (timeline.plan for timeline in self._memory.roster.timelines.values())
        return [plan for plan in plans if feed.names(plan, responder_id)]


def _events(plans: Sequence[Plan], only: str, now: datetime) -> list[feed.Event]:
    found = [event for plan in plans for event in feed.events(plan, now)]
    return sorted(
        (event for event in found if only in ("", event.responder_id)), key=lambda event: event.starts_at
    )


def _check_moved(changed: Mapping[str, Shift], moved: Collection[UUID]) -> None:
    for shift in changed.values():
        if shift.shift_id not in moved:
            raise AlreadyExists(
                f"the shift {shift.shift_id} cannot be moved to {shift.starts_at:%Y-%m-%dT%H:%M:%SZ}: "
                f"{shift.responder_id!r} has another shift then",
                reason="SHIFT_OVERLAPS",
            )


def _told(shift: Shift, change: Literal["created", "updated"], now: datetime) -> outbox.Event:
    return events.changed("shift", str(shift.shift_id), change, now, schedule_id=shift.schedule_id)
