"""Time off: entered, listed, deleted, and what it does to who is on call."""

import asyncio

import pytest

from chassis.errors import Invalid, NotFound
from chassis.wire import timestamp
from tests.fixtures.eventually import eventually
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import (
    responder_service_pb2,
    schedule_pb2,
    schedule_service_pb2,
    time_off_service_pb2,
)

START = utc("2026-03-01T09:00")


async def on_call(world: World, count: int, step: int = 12) -> list[str]:
    """Who is on call on `web`, every so many hours from the start."""
    return [
        "+".join(await world.roster.resolve("oncall://web", START + n * step * HOUR)) for n in range(count)
    ]


async def test_time_off_lives(world: World) -> None:
    await world.people("ada", "bob")
    made = [await world.leave("ada", START + n * HOUR, START + (n + 2) * HOUR) for n in (4, 0, 2)]
    await world.leave("bob", START, START + HOUR)
    read = await world.roster.time_off.GetTimeOff(
        time_off_service_pb2.GetTimeOffRequest(time_off_id=made[0].time_off_id)
    )
    assert read == made[0]
    assert read.note == "the sea"
    repeated = await asyncio.gather(
        *(world.leave("bob", START, START + HOUR, request_id="once") for _ in range(4))
    )
    assert all(entry == repeated[0] for entry in repeated)
    found, token = [], ""
    while True:
        answer = await world.roster.time_off.ListTimeOff(
            time_off_service_pb2.ListTimeOffRequest(page_size=2, page_token=token, responder_id="ada")
        )
        found += [entry.time_off_id for entry in answer.time_off]
        token = answer.next_page_token
        if not token:
            break
    assert found == [made[n].time_off_id for n in (1, 2, 0)]
    answer = await world.roster.time_off.ListTimeOff(
        time_off_service_pb2.ListTimeOffRequest(
            responder_id="ada", start=timestamp(START + 2 * HOUR), end=timestamp(START + 4 * HOUR)
        )
    )
    assert [entry.time_off_id for entry in answer.time_off] == [made[2].time_off_id]
    gone = time_off_service_pb2.DeleteTimeOffRequest(time_off_id=made[0].time_off_id)
    await world.roster.time_off.DeleteTimeOff(gone)
    with pytest.raises(NotFound):
        await world.roster.time_off.DeleteTimeOff(gone)
    events = await world.events("roster.changed", 8)
    assert [(event.resource, event.change) for event in events[2:]] == [("time_off", "created")] * 5 + [
        ("time_off", "deleted")
    ]


async def test_every_wrong_field_of_time_off_is_named(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        await world.leave("whoever", START, START)
    assert {field.path for field in caught.value.fields} == {"responder_id", "ends_at"}
    with pytest.raises(Invalid) as caught:
        await world.roster.time_off.CreateTimeOff(time_off_service_pb2.CreateTimeOffRequest())
    assert {field.path for field in caught.value.fields} == {"responder_id", "starts_at", "ends_at"}


async def test_somebody_on_leave_is_passed_over_at_once_and_everywhere(world: World) -> None:
    other = await world.replica()
    await world.people("ada", "bob")
    await world.schedule("web", rotating("ada", "bob"))
    assert await on_call(world, 4) == ["ada", "ada", "bob", "bob"]
    entered = await world.leave("ada", START + 12 * HOUR, START + 90 * HOUR)
    assert await on_call(world, 4) == ["ada", "bob", "bob", "bob"]

    async def heard() -> bool:
        return await other.resolve("oncall://web", START + 12 * HOUR) == ["bob"]

    await eventually(heard)
    await world.leave("bob", START + 36 * HOUR, START + 37 * HOUR)
    assert await on_call(world, 4) == ["ada", "bob", "bob", ""]
    await world.roster.time_off.DeleteTimeOff(
        time_off_service_pb2.DeleteTimeOffRequest(time_off_id=entered.time_off_id)
    )
    assert await on_call(world, 4) == ["ada", "ada", "bob", "ada"]


async def test_leave_hands_over_with_an_event(world: World) -> None:
    await world.people("ada", "bob")
    start = (world.now - HOUR).strftime("%Y-%m-%dT%H:%M")
    await world.schedule("web", rotating("ada", "bob", start=start))
    await world.events("roster.handover", 1)
    await world.leave("ada", world.now - HOUR, world.now + HOUR)
    [_, handover] = await world.events("roster.handover", 2)
    assert (list(handover.outgoing_responder_ids), list(handover.incoming_responder_ids)) == (
        ["ada"],
        ["bob"],
    )


async def test_a_layer_may_flag_and_shifts_are_flagged_alone(world: World) -> None:
    await world.people("ada", "bob")
    layer = rotating("ada")
    layer.time_off = schedule_pb2.Layer.FLAG
    made = await world.schedule("web", layer)
    assert made.layers == [layer]
    await world.shift("bob", START + 2 * HOUR, START + 4 * HOUR, on="web")
    await world.leave("ada", START + HOUR, START + 6 * HOUR)
    await world.leave("bob", START + 3 * HOUR, START + 9 * HOUR)
    shown = await world.roster.schedules.PreviewSchedule(
        schedule_service_pb2.PreviewScheduleRequest(
            schedule_id="web", start=timestamp(START), end=timestamp(START + 8 * HOUR)
        )
    )
    zero = int(START.timestamp())
    assert [
        (segment.responder_id, (segment.starts_at.seconds - zero) // 3600, segment.on_leave)
        for segment in shown.segments
    ] == [
        ("ada", 0, False),
        ("ada", 1, True),
        ("bob", 2, False),
        ("bob", 3, True),
        ("ada", 4, True),
        ("ada", 6, False),
    ]
    layer.time_off = 7  # type: ignore[assignment]  # what no client of ours can send
    with pytest.raises(Invalid) as caught:
        await world.schedule("other", layer)
    assert [field.path for field in caught.value.fields] == ["layers[0].time_off"]


async def test_an_edit_keeps_whoever_stands_in(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    start = (world.now - HOUR).strftime("%Y-%m-%dT%H:%M")
    made = await world.schedule("web", rotating("ada", "bob", start=start))
    await world.leave("ada", world.now - 2 * HOUR, world.now + 2 * HOUR)
    assert await world.roster.resolve("oncall://web") == ["bob"]
    made.layers[0].responder_ids[:] = ["ada", "cyd"]
    await world.roster.schedules.UpdateSchedule(
        schedule_service_pb2.UpdateScheduleRequest(
            schedule=schedule_pb2.Schedule(schedule_id="web", layers=made.layers)
        )
    )
    assert await world.roster.resolve("oncall://web") == ["bob"]
    assert await world.roster.resolve("oncall://web", world.now + 24 * HOUR) == ["cyd"]


async def test_somebody_on_leave_can_be_deleted(world: World) -> None:
    await world.people("ada")
    await world.leave("ada", START, START + HOUR)
    await world.roster.responders.DeleteResponder(
        responder_service_pb2.DeleteResponderRequest(responder_id="ada")
    )
    answer = await world.roster.time_off.ListTimeOff(time_off_service_pb2.ListTimeOffRequest())
    assert list(answer.time_off) == []


async def test_leave_and_shifts_made_at_the_same_time_find_each_other(world: World) -> None:
    await world.people("ada")
    await world.schedule("web")
    await asyncio.gather(
        *(world.leave("ada", START + n * HOUR, START + (n + 1) * HOUR) for n in range(6)),
        *(world.shift("ada", START + n * HOUR, START + (n + 1) * HOUR, on="web") for n in range(6)),
    )
    shown = await world.roster.schedules.PreviewSchedule(
        schedule_service_pb2.PreviewScheduleRequest(
            schedule_id="web", start=timestamp(START), end=timestamp(START + 6 * HOUR)
        )
    )
    assert [segment.on_leave for segment in shown.segments] == [True]


async def test_a_proposal_knows_the_leave_of_those_it_names(world: World) -> None:
    await world.people("ada", "bob")
    made = await world.schedule("web", rotating("ada"))
    await world.leave("bob", START + 24 * HOUR, START + 30 * HOUR)
    made.layers[0].responder_ids.append("bob")
    made.layers[0].rotation.start = "2026-03-01T09:00"
    made.layers[0].name = "another"
    shown = await world.roster.schedules.PreviewScheduleChange(
        schedule_service_pb2.PreviewScheduleChangeRequest(
            schedule_id="web",
            schedule=made,
            start=timestamp(START),
            end=timestamp(START + 48 * HOUR),
        )
    )
    zero = int(START.timestamp())
    assert [
        (segment.responder_id, (segment.starts_at.seconds - zero) // 3600) for segment in shown.segments
    ] == [("ada", 0), ("bob", 30)]
