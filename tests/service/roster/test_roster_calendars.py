"""Schedules go out as iCalendar under stable ids, and calendars come in as shifts, once each."""

from datetime import datetime, timedelta
from typing import Any

import icalendar
import pytest

from chassis.errors import AlreadyExists, Invalid, NotFound
from chassis.wire import instant, timestamp
from services.roster.convert.feeds import RESPONDER
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import (
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    schedule_service_pb2,
    shift_service_pb2,
)

DAY = timedelta(days=1)
START = utc("2026-03-02T00:00")
CREATED, CHANGED, UNCHANGED = "CREATED", "CHANGED", "UNCHANGED"


def calendars(world: World) -> calendar_service_pb2_grpc.CalendarServiceStub:
    """The methods for calendars."""
    return calendar_service_pb2_grpc.CalendarServiceStub(world.roster.channel)


async def feed(world: World, **of: str) -> dict[str, Any]:
    """The events of a feed, by UID."""
    answer = await calendars(world).ExportCalendar(calendar_service_pb2.ExportCalendarRequest(**of))
    [calendar] = icalendar.Calendar.from_ical(answer.calendar, multiple=True)
    assert {"PRODID", "VERSION"} <= calendar.keys()
    found = {str(event["UID"]): event for event in calendar.walk("VEVENT")}
    assert len(found) == len(calendar.walk("VEVENT"))
    return found


async def bring(world: World, *lines: str, **more: Any) -> calendar_service_pb2.ImportCalendarResponse:
    """Imports events, each given as its lines, for two weeks."""
    text = "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN", *lines, "END:VCALENDAR", ""])
    request = calendar_service_pb2.ImportCalendarRequest(
        **{
            "schedule_id": "web",
            "calendar": text,
            "start": timestamp(START),
            "end": timestamp(START + 14 * DAY),
            **more,
        }
    )
    return await calendars(world).ImportCalendar(request)


def event(uid: str, *lines: str) -> list[str]:
    """An event."""
    return ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"]


def brought(answer: calendar_service_pb2.ImportCalendarResponse) -> list[tuple[str, str, str, str]]:
    """The shifts: what was done, who, from when to when."""
    return [
        (
            calendar_service_pb2.ImportedShift.Outcome.Name(shift.outcome),
            shift.responder_id,
            f"{instant(shift, 'starts_at'):%dT%H:%M}",
            f"{instant(shift, 'ends_at'):%dT%H:%M}",
        )
        for shift in answer.shifts
    ]


async def shifts(world: World) -> list[str]:
    """The ids of the explicit shifts."""
    answer = await world.roster.shifts.ListShifts(
        shift_service_pb2.ListShiftsRequest(schedule_id="web", page_size=1000)
    )
    return sorted(shift.shift_id for shift in answer.shifts)


async def test_a_feed_shows_what_the_preview_shows(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("web", rotating("ada", "bob"), zone="Europe/Berlin")
    soon = world.now.replace(microsecond=0) + 5 * DAY
    await world.override("cyd", soon, soon + DAY, on="web")
    events = await feed(world, schedule_id="web")
    start = world.now + DAY
    shown = await world.roster.schedules.PreviewSchedule(
        schedule_service_pb2.PreviewScheduleRequest(
            schedule_id="web", start=timestamp(start), end=timestamp(start + 150 * DAY)
        )
    )
    there = {(str(e[RESPONDER]), e["DTSTART"].dt, e["DTEND"].dt) for e in events.values()}
    for segment in [*shown.segments][2:-2]:
        ends = (instant(segment, "starts_at"), instant(segment, "ends_at"))
        assert (segment.responder_id, *ends) in there
    for made in events.values():
        assert str(made["DTSTART"].dt.tzinfo) == "UTC"
        assert made["DTSTART"].dt < made["DTEND"].dt
        assert isinstance(made["DTSTAMP"].dt, datetime)
        assert str(made["SUMMARY"]) == f"{made[RESPONDER]} on call: web"
    begins, ends_at = (f([e["DTSTART"].dt for e in events.values()]) for f in (min, max))
    assert world.now - 33 * DAY < begins < world.now - 29 * DAY
    assert world.now + 178 * DAY < ends_at < world.now + 181 * DAY


async def test_ids_of_events_stay_the_same(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("web", rotating("ada", "bob"), rotating("cyd", name="always"))
    await world.schedule("two", rotating("ada", "bob"))
    before = await feed(world, schedule_id="two")
    always = await feed(world, schedule_id="web")
    await world.override("cyd", world.now + 5 * DAY, world.now + 6 * DAY, on="two")
    world.advance(days=3)
    after = await feed(world, schedule_id="two")
    same = before.keys() & after.keys()
    assert len(same) >= len(before) - 4
    assert all(before[uid]["DTSTART"].dt == after[uid]["DTSTART"].dt for uid in same)
    assert len(always) == 1
    assert always.keys() == (await feed(world, schedule_id="web")).keys()


async def test_a_responders_feed_has_their_time_on_all_schedules(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("one", rotating("ada", "bob"))
    await world.schedule("two", rotating("bob", "cyd"))
    assert {str(e["SUMMARY"]) for e in (await feed(world, responder_id="bob")).values()} == {
        "bob on call: one",
        "bob on call: two",
    }
    assert {str(e[RESPONDER]) for e in (await feed(world, responder_id="cyd")).values()} == {"cyd"}
    for of in ({"schedule_id": "nowhere"}, {"responder_id": "nobody"}):
        with pytest.raises(NotFound):
            await feed(world, **of)
    with pytest.raises(Invalid):
        await feed(world)


async def test_events_become_shifts_once(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("web", zone="America/New_York")
    lines = [
        *event(
            "one@x",
            "DTSTART:20260303T090000Z",
            "DTEND:20260303T170000Z",
            "ATTENDEE;CN=Ada Lovelace:mailto:Ada@example.com",
        ),
        *event("two@x", "DTSTART;VALUE=DATE:20260304", "SUMMARY:On-call: bob (web)"),
        *event("three@x", "DTSTART:20260306T080000", "DURATION:PT2H", "SUMMARY:The Boss"),
        *event("old@x", "DTSTART:20260101T080000Z", "DURATION:PT2H", "SUMMARY:bob"),
    ]
    whom = {"responders": {"ada@example.com": "ada", "the boss": "ada"}}
    wanted = [
        ("ada", "03T09:00", "03T17:00"),
        ("bob", "04T05:00", "05T05:00"),
        ("ada", "06T13:00", "06T15:00"),
    ]
    tried = await bring(world, *lines, dry_run=True, **whom)
    assert brought(tried) == [(CREATED, *one) for one in wanted]
    assert not any(shift.shift_id for shift in tried.shifts)
    assert await shifts(world) == []
    made = await bring(world, *lines, **whom)
    assert brought(made) == [(CREATED, *one) for one in wanted]
    kept = await shifts(world)
    assert kept == sorted(shift.shift_id for shift in made.shifts)
    again = await bring(world, *lines, **whom)
    assert brought(again) == [(UNCHANGED, *one) for one in wanted]
    assert await shifts(world) == kept
    moved = await bring(world, *event("one@x", "DTSTART:20260303T100000Z", "DURATION:PT1H", "SUMMARY:bob"))
    assert brought(moved) == [(CHANGED, "bob", "03T10:00", "03T11:00")]
    assert await shifts(world) == kept
    assert await world.roster.resolve("oncall://web", START + 34.5 * HOUR) == ["bob"]


async def test_recurring_events_are_expanded_on_the_wall_clock(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("web", zone="America/New_York")
    answer = await bring(
        world,
        *event(
            "week@x",
            "DTSTART;TZID=America/New_York:20260105T090000",
            "DTEND;TZID=America/New_York:20260105T170000",
            "RRULE:FREQ=WEEKLY;BYDAY=MO,TH;UNTIL=20260312T170000Z",
            "EXDATE;TZID=America/New_York:20260305T090000",
            "SUMMARY:ada",
        ),
        *event(
            "week@x",
            "RECURRENCE-ID;TZID=America/New_York:20260309T090000",
            "DTSTART;TZID=America/New_York:20260310T090000",
            "DTEND;TZID=America/New_York:20260310T170000",
            "SUMMARY:bob",
        ),
    )
    assert brought(answer) == [
        (CREATED, "ada", "02T14:00", "02T22:00"),
        (CREATED, "bob", "10T13:00", "10T21:00"),
        (CREATED, "ada", "12T13:00", "12T21:00"),
    ]
    assert not answer.skipped


async def test_what_cannot_be_carried_over_is_said(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("web")
    await world.shift("ada", START + DAY, START + 2 * DAY, on="web")
    at = "DTSTART:20260303T090000Z"
    answer = await bring(
        world,
        *event("nobody@x", at, "DURATION:PT1H", "SUMMARY:somebody"),
        *event("both@x", at, "DURATION:PT1H", "SUMMARY:ada or bob"),
        *event("empty@x", at, "SUMMARY:bob"),
        *event("gone@x", at, "DURATION:PT1H", "STATUS:CANCELLED", "SUMMARY:bob"),
        *event("often@x", at, "DURATION:PT1M", "RRULE:FREQ=MINUTELY", "SUMMARY:bob"),
        *event("odd@x", at, "DURATION:PT1M", "RRULE:FREQ=DAILY;BYMONTH=77", "SUMMARY:bob"),
        *event("over@x", at, "DURATION:PT1H", "SUMMARY:ada"),
        *event("start@x", "SUMMARY:bob"),
        *event("", at, "DURATION:PT1H", "SUMMARY:bob"),
        *event("good@x", at, "DURATION:PT1H", "SUMMARY:bob"),
    )
    assert brought(answer) == [(CREATED, "bob", "03T09:00", "03T10:00")]
    reasons = {one.uid: one.reason for one in answer.skipped}
    assert reasons.keys() == {
        *(f"{name}@x" for name in ("nobody", "both", "empty", "gone", "often", "odd", "over", "start")),
        "",
    }
    assert "MINUTELY" in reasons["often@x"]
    assert "overlaps another shift of ada" in reasons["over@x"]


async def test_an_import_that_is_wrong_changes_nothing(world: World) -> None:
    await world.people("ada")
    await world.schedule("web")
    with pytest.raises(Invalid):
        await bring(world, calendar="no calendar at all")
    with pytest.raises(Invalid) as caught:
        await bring(world, responders={"x": "eve"}, end=timestamp(START))
    assert {field.path for field in caught.value.fields} == {"end", "responders['x']"}
    with pytest.raises(NotFound):
        await bring(world, schedule_id="nowhere")
    with pytest.raises(Invalid):
        await bring(world, calendar="BEGIN:VEVENT\r\nUID:x\r\nEND:VEVENT\r\n")
    first = ["DTSTART:20260303T090000Z", "DURATION:PT1H", "SUMMARY:ada"]
    await bring(world, *event("a", *first))
    await world.shift("ada", START + 4 * DAY, START + 5 * DAY, on="web")
    kept = await shifts(world)
    with pytest.raises(AlreadyExists):
        await bring(world, *event("a", "DTSTART:20260306T090000Z", "DURATION:PT1H", "SUMMARY:ada"))
    assert await shifts(world) == kept


async def test_what_a_feed_says_can_be_imported(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("two", rotating("ada", "bob"))
    await world.schedule("web")
    answer = await calendars(world).ExportCalendar(
        calendar_service_pb2.ExportCalendarRequest(schedule_id="two")
    )
    window = {"start": timestamp(world.now), "end": timestamp(world.now + 7 * DAY)}
    made = await bring(world, calendar=answer.calendar, **window)
    assert not made.skipped
    assert {shift.responder_id for shift in made.shifts} == {"ada", "bob"}
    for days in range(7):
        at = world.now + days * DAY
        assert await world.roster.resolve("oncall://web", at) == await world.roster.resolve(
            "oncall://two", at
        )
