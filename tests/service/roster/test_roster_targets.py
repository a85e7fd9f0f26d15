"""Whom targets mean: at once after a change, on every replica, at any instant."""

import pytest

from chassis.errors import Invalid, NotFound
from chassis.wire import timestamp
from tests.fixtures.eventually import eventually
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import on_call_service_pb2, schedule_pb2


async def test_what_was_created_is_resolved_at_once(world: World) -> None:
    await world.people("ada")
    assert await world.roster.resolve("responder://ada") == ["ada"]
    await world.shift("ada", world.now - HOUR, world.now + HOUR)
    assert await world.roster.resolve("oncall://active") == ["ada"]


async def test_another_replica_hears_of_it_within_a_second(world: World) -> None:
    other = await world.replica()
    await world.people("ada")
    await world.shift("ada", world.now - HOUR, world.now + HOUR)

    async def heard() -> bool:
        return await other.resolve("oncall://active") == ["ada"]

    await eventually(heard)


async def test_an_answer_says_why_and_until_when(world: World) -> None:
    await world.people("ada", "bob")
    await world.schedule("web", rotating("ada", "bob", start="2026-03-01T09:00"))
    await world.schedule("always", rotating("ada"))
    await world.shift("bob", utc("2026-03-01T08:00"), utc("2026-03-01T11:00"))
    answer = await world.roster.on_call.ResolveTarget(
        on_call_service_pb2.ResolveTargetRequest(
            target="oncall://active", at=timestamp(utc("2026-03-01T10:00"))
        )
    )
    sources = schedule_pb2.ShiftSource
    assert [
        (person.responder_id, person.schedule_id, person.shift_source, person.HasField("until"))
        for person in answer.responders
    ] == [
        ("ada", "always", sources.LAYER, False),
        ("ada", "web", sources.LAYER, True),
        ("bob", "default", sources.EXPLICIT, True),
    ]
    assert answer.responders[1].until == timestamp(utc("2026-03-02T09:00"))
    assert answer.responders[2].until == timestamp(utc("2026-03-01T11:00"))


@pytest.mark.parametrize(
    "target", ["", "ada", "oncall://", "oncall:/web", "responder://", "mail://x", "oncall://a/b/c"]
)
async def test_a_target_of_unknown_form_is_refused(world: World, target: str) -> None:
    with pytest.raises(Invalid) as caught:
        await world.roster.resolve(target)
    assert [field.path for field in caught.value.fields] == ["target"]


@pytest.mark.parametrize("target", ["oncall://nowhere", "responder://nobody"])
async def test_what_does_not_exist_is_not_found(world: World, target: str) -> None:
    with pytest.raises(NotFound):
        await world.roster.resolve(target)


async def test_an_instant_out_of_range_is_refused(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        await world.roster.resolve("oncall://active", utc("2400-01-01"))
    assert [field.path for field in caught.value.fields] == ["at"]


async def test_many_targets_are_answered_in_order_each_with_its_own_error(world: World) -> None:
    await world.people("ada")
    await world.shift("ada", world.now - HOUR, world.now + HOUR)
    targets = ["responder://ada", "oncall://nowhere", "what", "oncall://default", "responder://bob"]
    answer = await world.roster.on_call.ResolveTargets(
        on_call_service_pb2.ResolveTargetsRequest(targets=targets)
    )
    assert [
        (result.target, [person.responder_id for person in result.responders], result.error_reason)
        for result in answer.results
    ] == [
        ("responder://ada", ["ada"], ""),
        ("oncall://nowhere", [], "UNKNOWN_SCHEDULE"),
        ("what", [], "INVALID_TARGET"),
        ("oncall://default", ["ada"], ""),
        ("responder://bob", [], "UNKNOWN_RESPONDER"),
    ]


async def test_next_is_who_comes_after_the_handover_to_other_people(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    await world.schedule("web", rotating("ada", "ada", "bob", start="2026-03-01T09:00"))
    await world.schedule("always", rotating("ada"))
    start = utc("2026-03-01T10:00")
    assert await world.roster.resolve("oncall://web/next", start) == ["bob"]
    assert await world.roster.resolve("oncall://always/next", start) == []
    assert await world.roster.resolve("oncall://default/next", start) == []
    await world.shift("cyd", start + 500 * HOUR, start + 501 * HOUR)
    assert await world.roster.resolve("oncall://default/next", start) == ["cyd"]
    with pytest.raises(NotFound):
        await world.roster.resolve("oncall://nowhere/next", start)
    with pytest.raises(Invalid):
        await world.roster.resolve("oncall://active/next", start)
