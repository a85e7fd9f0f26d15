"""Responders, schedules, shifts and overrides: made, read, listed, changed, deleted, and refused with precision."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import (
    AlreadyExists,
    Conflict,
    Denied,
    DomainError,
    Invalid,
    NotFound,
    Refused,
)
from chassis.wire import timestamp
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import (
    responder_pb2,
    responder_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    shift_pb2,
    shift_service_pb2,
)

DAY = timedelta(days=1)


def wrong(error: DomainError) -> set[str]:
    """The paths of the fields at fault."""
    return {field.path for field in error.fields}


async def test_a_responder_lives(world: World) -> None:
    responders = world.roster.responders
    made = await responders.CreateResponder(
        responder_service_pb2.CreateResponderRequest(
            responder=responder_pb2.Responder(responder_id="ada", time_zone="Europe/London")
        )
    )
    assert (made.display_name, made.time_zone) == ("ada", "Europe/London")
    changed = await responders.UpdateResponder(
        responder_service_pb2.UpdateResponderRequest(
            responder=responder_pb2.Responder(responder_id="ada", display_name="Ada L."),
            update_mask=FieldMask(paths=["display_name"]),
        )
    )
    assert (changed.display_name, changed.time_zone) == ("Ada L.", "Europe/London")
    read = await responders.GetResponder(responder_service_pb2.GetResponderRequest(responder_id="ada"))
    assert read == changed
    await responders.DeleteResponder(responder_service_pb2.DeleteResponderRequest(responder_id="ada"))
    with pytest.raises(NotFound):
        await responders.GetResponder(responder_service_pb2.GetResponderRequest(responder_id="ada"))
    events = await world.events("roster.changed", 3)
    assert [(event.resource_id, event.change, event.actor) for event in events] == [
        ("ada", "created", "tester"),
        ("ada", "updated", "tester"),
        ("ada", "deleted", "tester"),
    ]


async def test_a_responder_without_an_id_gets_one(world: World) -> None:
    made = await world.roster.responders.CreateResponder(responder_service_pb2.CreateResponderRequest())
    assert made.responder_id.startswith("responder-")
    assert made.time_zone == "UTC"


async def test_every_wrong_field_of_a_responder_is_named(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        await world.roster.responders.CreateResponder(
            responder_service_pb2.CreateResponderRequest(
                responder=responder_pb2.Responder(
                    responder_id="Ada!", time_zone="Mars/Olympus", display_name="x" * 201
                )
            )
        )
    assert wrong(caught.value) == {"responder_id", "time_zone", "display_name"}


async def test_an_id_is_taken_once(world: World) -> None:
    await world.people("ada")
    with pytest.raises(AlreadyExists):
        await world.people("ada")


async def test_the_same_request_gives_the_same_resource(world: World) -> None:
    async def create() -> responder_pb2.Responder:
        return await world.roster.responders.CreateResponder(
            responder_service_pb2.CreateResponderRequest(request_id="once")
        )

    first, *others = await asyncio.gather(*(create() for _ in range(5)))
    assert all(other == first for other in others)
    await world.people("ada")
    shifts = [
        await world.shift("ada", utc("2026-01-01"), utc("2026-01-02"), request_id="once") for _ in range(3)
    ]
    assert shifts[0] == shifts[1] == shifts[2]


async def test_lists_come_in_pages(world: World) -> None:
    await world.people(*(f"person-{n}" for n in range(5)))
    found: list[Any] = []
    token = ""
    while True:
        answer = await world.roster.responders.ListResponders(
            responder_service_pb2.ListRespondersRequest(page_size=2, page_token=token)
        )
        found += [responder.responder_id for responder in answer.responders]
        token = answer.next_page_token
        if not token:
            break
    assert found == [f"person-{n}" for n in range(5)]
    with pytest.raises(Invalid):
        await world.roster.responders.ListResponders(
            responder_service_pb2.ListRespondersRequest(page_token="nonsense")
        )


async def test_somebody_who_is_needed_cannot_be_deleted(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("web", rotating("ada", "bob"))
    await world.shift("cyd", world.now - DAY, world.now - HOUR)
    for name in ("ada", "bob"):
        with pytest.raises(Conflict, match="web"):
            await world.roster.responders.DeleteResponder(
                responder_service_pb2.DeleteResponderRequest(responder_id=name)
            )
    await world.roster.responders.DeleteResponder(
        responder_service_pb2.DeleteResponderRequest(responder_id="cyd")
    )
    assert await world.roster.resolve("oncall://default", world.now - 2 * HOUR) == []


async def test_the_default_schedule_always_exists(world: World) -> None:
    found = await world.roster.schedules.GetSchedule(
        schedule_service_pb2.GetScheduleRequest(schedule_id="default")
    )
    assert found.time_zone == "UTC"
    with pytest.raises(Refused):
        await world.roster.schedules.DeleteSchedule(
            schedule_service_pb2.DeleteScheduleRequest(schedule_id="default")
        )


async def test_a_schedule_lives(world: World) -> None:
    await world.people("ada", "bob")
    layer = rotating(
        "ada",
        "",
        "bob",
        restrictions=[
            schedule_pb2.Restriction(
                weekdays=[schedule_pb2.Restriction.MON, schedule_pb2.Restriction.SUN],
                start_time="22:00",
                end_time="06:00",
            )
        ],
    )
    made = await world.schedule("web", layer, zone="America/Chicago")
    assert made.layers == [layer]
    renamed = await world.roster.schedules.UpdateSchedule(
        schedule_service_pb2.UpdateScheduleRequest(
            schedule=schedule_pb2.Schedule(schedule_id="web", display_name="The web")
        )
    )
    assert renamed.display_name == "The web"
    assert renamed.layers == [layer]
    emptied = await world.roster.schedules.UpdateSchedule(
        schedule_service_pb2.UpdateScheduleRequest(
            schedule=schedule_pb2.Schedule(schedule_id="web"), update_mask=FieldMask(paths=["layers"])
        )
    )
    assert (emptied.display_name, len(emptied.layers)) == ("The web", 0)
    await world.roster.schedules.DeleteSchedule(schedule_service_pb2.DeleteScheduleRequest(schedule_id="web"))
    listed = await world.roster.schedules.ListSchedules(schedule_service_pb2.ListSchedulesRequest())
    assert [schedule.schedule_id for schedule in listed.schedules] == ["default"]
    with pytest.raises(NotFound):
        await world.roster.resolve("oncall://web")


async def test_every_wrong_field_of_a_schedule_is_named(world: World) -> None:
    await world.people("ada")
    layers = [
        schedule_pb2.Layer(
            name="a",
            responder_ids=["ada", "nobody-knows"],
            rotation=schedule_pb2.Rotation(length=0, start="2026-03-01T09:00+01:00"),
            restrictions=[schedule_pb2.Restriction(start_time="24:00", end_time="9")],
        ),
        schedule_pb2.Layer(name="a"),
        schedule_pb2.Layer(name="c", responder_ids=["", ""], rotation=rotating("ada").rotation),
    ]
    with pytest.raises(Invalid) as caught:
        await world.schedule("active", *layers, zone="Nowhere")
    assert wrong(caught.value) == {
        "schedule_id",
        "time_zone",
        "layers[0].responder_ids[1]",
        "layers[0].rotation.unit",
        "layers[0].rotation.length",
        "layers[0].rotation.start",
        "layers[0].restrictions[0].start_time",
        "layers[0].restrictions[0].end_time",
        "layers[1].name",
        "layers[1].responder_ids",
        "layers[1].rotation",
        "layers[2].responder_ids",
    }
    assert any("nobody-knows" in field.description for field in caught.value.fields)
    with pytest.raises(NotFound):
        await world.roster.schedules.GetSchedule(
            schedule_service_pb2.GetScheduleRequest(schedule_id="active")
        )


async def test_a_shift_lives(world: World) -> None:
    await world.people("ada")
    start = utc("2026-03-01T09:00")
    made = await world.shift("ada", start, start + HOUR)
    assert (made.schedule_id, made.source) == ("default", schedule_pb2.ShiftSource.EXPLICIT)
    request = shift_service_pb2.GetShiftRequest(shift_id=made.shift_id)
    assert await world.roster.shifts.GetShift(request) == made
    assert await world.roster.resolve("oncall://default", start) == ["ada"]
    assert await world.roster.resolve("oncall://default", start + HOUR) == []
    await world.roster.shifts.DeleteShift(shift_service_pb2.DeleteShiftRequest(shift_id=made.shift_id))
    assert await world.roster.resolve("oncall://default", start) == []
    with pytest.raises(NotFound):
        await world.roster.shifts.GetShift(request)


async def test_every_wrong_field_of_a_shift_is_named(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        await world.shift("nobody", utc("2026-03-02"), utc("2026-03-01"), on="nowhere")
    assert wrong(caught.value) == {"responder_id", "schedule_id", "ends_at"}
    with pytest.raises(Invalid) as caught:
        await world.roster.shifts.CreateShift(shift_service_pb2.CreateShiftRequest())
    assert wrong(caught.value) == {"responder_id", "starts_at", "ends_at"}


async def test_two_shifts_of_one_person_cannot_overlap(world: World) -> None:
    await world.people("ada", "bob")
    start = utc("2026-03-01T09:00")
    first = await world.shift("ada", start, start + 2 * HOUR)
    with pytest.raises(AlreadyExists, match=first.shift_id):
        await world.shift("ada", start + HOUR, start + 3 * HOUR)
    await world.shift("ada", start + 2 * HOUR, start + 3 * HOUR)
    await world.shift("bob", start, start + 2 * HOUR)
    assert await world.roster.resolve("oncall://default", start) == ["ada", "bob"]


async def test_one_of_many_overlapping_shifts_is_made(world: World) -> None:
    await world.people("ada")
    start = utc("2026-03-01T09:00")
    answers = await asyncio.gather(
        *(world.shift("ada", start, start + n * HOUR) for n in range(1, 9)), return_exceptions=True
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["AlreadyExists"] * 7 + ["Shift"]


async def test_explicit_shifts_are_listed_by_start(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("web")
    start = utc("2026-03-01T09:00")
    for hours in (4, 0, 2):
        await world.shift("ada", start + hours * HOUR, start + (hours + 1) * HOUR)
    await world.shift("bob", start, start + HOUR, on="web")

    async def listed(request: shift_service_pb2.ListShiftsRequest) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = []
        token = ""
        while True:
            request.page_token = token
            answer = await world.roster.shifts.ListShifts(request)
            found += [
                (shift.responder_id, (shift.starts_at.seconds - int(start.timestamp())) // 3600)
                for shift in answer.shifts
            ]
            token = answer.next_page_token
            if not token:
                return found

    ask = shift_service_pb2.ListShiftsRequest
    assert await listed(ask(page_size=1)) == [("ada", 0), ("bob", 0), ("ada", 2), ("ada", 4)]
    assert await listed(ask(schedule_id="web")) == [("bob", 0)]
    assert await listed(ask(responder_id="ada", start=timestamp(start + 3 * HOUR))) == [("ada", 4)]
    assert await listed(ask(end=timestamp(start + HOUR))) == [("ada", 0), ("bob", 0)]


async def test_computed_shifts_are_listed_in_a_window(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("web", rotating("ada", "bob", start="2026-03-01T00:00"))
    start = utc("2026-03-01T00:00")
    await world.shift("cyd", start + DAY + 6 * HOUR, start + DAY + 12 * HOUR, on="web")
    await world.override("cyd", start + 12 * HOUR, start + DAY, instead_of="ada", on="web")

    async def listed(size: int, only: str = "") -> list[tuple[str, int, int, str, bool]]:
        found: list[shift_pb2.Shift] = []
        token = ""
        while True:
            answer = await world.roster.shifts.ListShifts(
                shift_service_pb2.ListShiftsRequest(
                    page_size=size,
                    page_token=token,
                    responder_id=only,
                    start=timestamp(start + 6 * HOUR),
                    end=timestamp(start + 2 * DAY),
                )
            )
            found += answer.shifts
            token = answer.next_page_token
            if not token:
                break
        zero = int(start.timestamp())
        return [
            (
                shift.responder_id,
                (shift.starts_at.seconds - zero) // 3600,
                (shift.ends_at.seconds - zero) // 3600,
                schedule_pb2.ShiftSource.Value.Name(shift.source),
                bool(shift.shift_id),
            )
            for shift in found
        ]

    expected = [
        ("ada", 6, 12, "LAYER", False),
        ("cyd", 12, 24, "OVERRIDE", False),
        ("bob", 24, 30, "LAYER", False),
        ("cyd", 30, 36, "EXPLICIT", True),
        ("bob", 36, 48, "LAYER", False),
    ]
    assert await listed(100) == expected
    assert await listed(2) == expected
    assert await listed(1, "cyd") == [expected[1], expected[3]]
    with pytest.raises(Invalid) as caught:
        await world.roster.shifts.ListShifts(
            shift_service_pb2.ListShiftsRequest(start=timestamp(start), end=timestamp(start + 401 * DAY))
        )
    assert wrong(caught.value) == {"end"}


async def test_overrides_live(world: World) -> None:
    await world.people("ada", "bob")
    start = utc("2026-03-01T09:00")
    made = [
        await world.override("ada", start, start + HOUR),
        await world.override("bob", start, start + HOUR, instead_of="ada"),
        await world.override("", start, start + HOUR, instead_of="ada"),
    ]
    assert [override.remove for override in made] == [False, False, True]
    found: list[Any] = []
    token = ""
    while True:
        answer = await world.roster.shifts.ListOverrides(
            shift_service_pb2.ListOverridesRequest(page_size=2, page_token=token)
        )
        found += answer.overrides
        token = answer.next_page_token
        if not token:
            break
    assert found == made[::-1]
    answer = await world.roster.shifts.ListOverrides(
        shift_service_pb2.ListOverridesRequest(responder_id="bob", start=timestamp(start))
    )
    assert list(answer.overrides) == [made[1]]
    for override in made:
        await world.roster.shifts.DeleteOverride(
            shift_service_pb2.DeleteOverrideRequest(override_id=override.override_id)
        )
    with pytest.raises(NotFound):
        await world.roster.shifts.DeleteOverride(
            shift_service_pb2.DeleteOverrideRequest(override_id=made[0].override_id)
        )


async def test_every_wrong_field_of_an_override_is_named(world: World) -> None:
    await world.people("ada")
    start = utc("2026-03-01T09:00")
    with pytest.raises(Invalid) as caught:
        await world.override("who", start, start, instead_of="whom", on="where")
    assert wrong(caught.value) == {"responder_id", "replaced_responder_id", "schedule_id", "ends_at"}
    with pytest.raises(Invalid) as caught:
        await world.override("ada", start, start + HOUR, instead_of="ada")
    assert wrong(caught.value) == {"replaced_responder_id"}
    with pytest.raises(Invalid) as caught:
        await world.override("", start, start + HOUR)
    assert wrong(caught.value) == {"replaced_responder_id"}


async def test_reading_is_not_writing(world: World) -> None:
    reader = await world.replica(scopes=["roster:read"])
    await reader.responders.ListResponders(responder_service_pb2.ListRespondersRequest())
    with pytest.raises(Denied):
        await reader.responders.CreateResponder(responder_service_pb2.CreateResponderRequest())


async def test_an_edit_of_the_members_keeps_who_is_on_call_until_the_handoff(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    start = (world.now - 25 * HOUR).strftime("%Y-%m-%dT%H:%M")
    made = await world.schedule("web", rotating("ada", "bob", "cyd", start=start))
    assert await world.roster.resolve("oncall://web") == ["bob"]
    del made.layers[0].responder_ids[1]
    edit = schedule_service_pb2.UpdateScheduleRequest(schedule=made, update_mask=FieldMask(paths=["layers"]))
    await world.roster.schedules.UpdateSchedule(edit)
    assert await world.roster.resolve("oncall://web") == ["bob"]
    assert await world.roster.resolve("oncall://web", world.now + DAY) == ["cyd"]
    assert await world.roster.resolve("oncall://web", world.now + 2 * DAY) == ["ada"]
    delete = responder_service_pb2.DeleteResponderRequest(responder_id="bob")
    with pytest.raises(Conflict, match="web"):
        await world.roster.responders.DeleteResponder(delete)
    world.advance(days=1)
    await world.roster.responders.DeleteResponder(delete)


async def test_turns_can_be_counted_by_active_days_alone(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    weekdays = [schedule_pb2.Restriction.Weekday.Value(day) for day in ("MON", "TUE", "WED", "THU", "FRI")]
    office = schedule_pb2.Restriction(weekdays=weekdays, start_time="09:00", end_time="17:00")
    layer = rotating("ada", "bob", "cyd", start="2026-03-02T09:00", restrictions=[office])
    layer.rotation.active_days_only = True
    await world.schedule("web", layer)
    days = [utc("2026-03-02T12:00") + n * DAY for n in range(9)]
    found = ["".join(await world.roster.resolve("oncall://web", day)) for day in days]
    assert found == ["ada", "bob", "cyd", "ada", "bob", "", "", "cyd", "ada"]
    layer.rotation.unit = schedule_pb2.Rotation.WEEKLY
    with pytest.raises(Invalid) as caught:
        await world.schedule("other", layer)
    assert wrong(caught.value) == {"layers[0].rotation.active_days_only"}
