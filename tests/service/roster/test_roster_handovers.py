"""Handovers and gaps ahead as events: each once, on time, whatever replicas there are and however long they slept."""

from datetime import timedelta

from chassis.wire import instant
from tests.service.roster.world import HOUR, World, rotating
from tocsin.roster.v1 import events_pb2, schedule_pb2

MINUTE = timedelta(minutes=1)


def said(event: events_pb2.HandoverEvent) -> tuple[str, list[str], list[str]]:
    """Where, who goes and who comes."""
    return event.schedule_id, [*event.outgoing_responder_ids], [*event.incoming_responder_ids]


async def test_a_shift_begins_and_ends_on_time_with_an_event(world: World) -> None:
    await world.people("ada")
    start = world.now + timedelta(seconds=4)  # it is made before it begins, also where the machine is busy
    end = start + timedelta(seconds=1)
    await world.shift("ada", start, end)
    came, went = await world.events("roster.handover", 2)
    assert world.now - end < timedelta(seconds=10)  # half a second, and what a busy machine adds
    assert (said(came), instant(came, "at")) == (("default", [], ["ada"]), start)
    assert (said(went), instant(went, "at")) == (("default", ["ada"], []), end)


async def test_an_edit_hands_over_at_once(world: World) -> None:
    await world.people("ada", "bob")
    await world.shift("ada", world.now - HOUR, world.now + HOUR)
    await world.override("bob", world.now - HOUR, world.now + HOUR, instead_of="ada")
    events = await world.events("roster.handover", 2)
    assert [said(event) for event in events] == [
        ("default", [], ["ada"]),
        ("default", ["ada"], ["bob"]),
    ]


async def test_many_replicas_tell_of_each_change_once_also_of_those_slept_over(world: World) -> None:
    await world.replica()
    await world.replica()
    await world.people("ada", "bob")
    start = (world.now - 10 * MINUTE).strftime("%Y-%m-%dT%H:%M")
    await world.schedule("web", rotating("ada", "bob", unit=schedule_pb2.Rotation.HOURLY, start=start))
    world.advance(hours=10)
    events = await world.events("roster.handover", 11)
    assert [said(event) for event in events] == [("web", [], ["ada"])] + [
        ("web", ["ada"], ["bob"]) if n % 2 == 0 else ("web", ["bob"], ["ada"]) for n in range(10)
    ]
    times = [event.at.seconds for event in events[1:]]
    assert times == [times[0] + 3600 * n for n in range(10)]
    await world.people("cyd")
    await world.events("roster.changed", 4)  # the relay keeps the order: nothing is under way before this one
    assert await world.count("roster.handover") == 11


async def test_a_gap_ahead_is_told_of(world: World) -> None:
    await world.people("ada")
    end = world.now + timedelta(days=2)
    await world.shift("ada", world.now - HOUR, end)
    [event] = await world.events("roster.gap_ahead", 1)
    assert event.schedule_id == "default"
    assert instant(event, "starts_at") == end
    assert event.ends_at.seconds > end.timestamp() + 4 * 86_400
