"""A proposed change is previewed as it would come, with what it changes, and nothing is saved."""

from typing import Any

import pytest

from chassis.errors import Invalid, NotFound
from chassis.wire import instant, timestamp
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2, shift_pb2

START = utc("2026-03-02T09:00")


async def propose(world: World, **change: Any) -> schedule_service_pb2.PreviewScheduleChangeResponse:
    """The preview of two days of a proposal for the schedule `web`."""
    request = schedule_service_pb2.PreviewScheduleChangeRequest(
        **{"schedule_id": "web", "start": timestamp(START), "end": timestamp(START + 48 * HOUR), **change}
    )
    return await world.roster.schedules.PreviewScheduleChange(request)


def hours(one: Any) -> tuple[float, float]:
    """From which hour to which."""
    starts_at, ends_at = instant(one, "starts_at"), instant(one, "ends_at")
    assert starts_at is not None
    assert ends_at is not None
    return (starts_at - START) / HOUR, (ends_at - START) / HOUR


def shift(who: str, start: float, end: float) -> shift_pb2.Shift:
    """A shift to add."""
    return shift_pb2.Shift(
        responder_id=who, starts_at=timestamp(START + start * HOUR), ends_at=timestamp(START + end * HOUR)
    )


def override(who: str, start: float, end: float, instead_of: str = "") -> shift_pb2.Override:
    """An override to add."""
    return shift_pb2.Override(
        responder_id=who,
        replaced_responder_id=instead_of,
        starts_at=timestamp(START + start * HOUR),
        ends_at=timestamp(START + end * HOUR),
    )


async def test_a_preview_tells_why_and_what_everybody_bears(world: World) -> None:
    await world.people("ada", "bob", "cyd", "dan")
    await world.schedule("web", rotating("ada", "bob", "dan"), zone="America/New_York")
    cover = await world.override("cyd", START + 4 * HOUR, START + 6 * HOUR, on="web")
    explicit = await world.shift("bob", START + 20 * HOUR, START + 22 * HOUR, on="web")
    shown = await world.roster.schedules.PreviewSchedule(
        schedule_service_pb2.PreviewScheduleRequest(
            schedule_id="web", start=timestamp(START + 3 * HOUR), end=timestamp(START + 24 * HOUR)
        )
    )
    why = [(s.responder_id, s.shift_id, s.override_id) for s in shown.segments if not s.layer]
    assert why == [("cyd", "", cover.override_id), ("bob", explicit.shift_id, "")]
    assert [(hours(overlap), [*overlap.responder_ids]) for overlap in shown.overlaps] == [
        ((4, 5), ["ada", "cyd"]),
        ((5, 6), ["bob", "cyd"]),
    ]
    borne = {f.responder_id: (f.hours, f.night_hours, f.weekend_hours) for f in shown.fairness}
    assert borne == {"ada": (2, 0, 0), "bob": (19, 6, 0), "cyd": (2, 0, 0), "dan": (0, 0, 0)}


async def test_a_proposal_shows_what_it_would_change_and_saves_nothing(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    before = await world.schedule("web", rotating("ada", "bob"))
    gone = await world.override("cyd", START + 30 * HOUR, START + 32 * HOUR, on="web", instead_of="ada")
    shown = await propose(
        world,
        add_overrides=[override("cyd", 2, 4, instead_of="bob"), override("ada", 3, 4, instead_of="cyd")],
        add_shifts=[shift("cyd", 10, 12)],
        remove_override_ids=[gone.override_id],
    )
    assert [(hours(change), [*change.before], [*change.after]) for change in shown.changes] == [
        ((2, 3), ["bob"], ["cyd"]),
        ((3, 4), ["bob"], ["ada"]),
        ((10, 12), ["bob"], ["cyd"]),
        ((30, 32), ["cyd"], ["ada"]),
    ]
    assert not any(segment.shift_id or segment.override_id for segment in shown.segments)
    assert [f.responder_id for f in shown.fairness] == ["ada", "bob", "cyd"]
    again = await propose(world)
    assert not again.changes
    assert gone.override_id in {segment.override_id for segment in again.segments}
    request = schedule_service_pb2.GetScheduleRequest(schedule_id="web")
    assert await world.roster.schedules.GetSchedule(request) == before


async def test_edited_layers_go_on_as_an_update_would_make_them(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    layer = rotating("ada", "bob", start=f"{world.now:%Y-%m-%d}T00:00")
    await world.schedule("web", layer)
    edited = schedule_pb2.Schedule(
        schedule_id="web",
        layers=[schedule_pb2.Layer(name="primary", responder_ids=["cyd", "bob"], rotation=layer.rotation)],
    )
    window = {"start": timestamp(world.now), "end": timestamp(world.now + 72 * HOUR)}
    shown = await propose(world, schedule=edited, **window)
    await world.roster.schedules.UpdateSchedule(schedule_service_pb2.UpdateScheduleRequest(schedule=edited))
    request = schedule_service_pb2.PreviewScheduleRequest(schedule_id="web", **window)
    made = await world.roster.schedules.PreviewSchedule(request)
    assert [*shown.segments] == [*made.segments]
    assert shown.segments[0].responder_id == "ada"  # keeps the turn until its handoff


async def test_everything_wrong_with_a_proposal_is_named(world: World) -> None:
    await world.people("ada")
    await world.schedule("web", rotating("ada"))
    await world.shift("ada", START, START + 5 * HOUR, on="web")
    with pytest.raises(Invalid) as caught:
        await propose(
            world,
            schedule=schedule_pb2.Schedule(time_zone="Mars/Olympus", layers=[rotating("eve")]),
            add_shifts=[shift("ada", 4, 6), shift("zoe", 3, 1)],
            add_overrides=[override("", 1, 2)],
            remove_shift_ids=["nothing"],
            remove_override_ids=["0198c0de-0000-7000-8000-000000000000"],
        )
    assert {field.path for field in caught.value.fields} == {
        "schedule.time_zone",
        "schedule.layers[0].responder_ids[0]",
        "add_shifts[0]",
        "add_shifts[1].responder_id",
        "add_shifts[1].ends_at",
        "add_overrides[0].responder_id",
        "remove_shift_ids[0]",
        "remove_override_ids[0]",
    }
    with pytest.raises(NotFound):
        await propose(world, schedule_id="nowhere")
    with pytest.raises(Invalid):
        await propose(world, end=timestamp(START + 24 * 733 * HOUR))
