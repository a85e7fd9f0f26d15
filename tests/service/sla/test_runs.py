"""Rebuilds and checks over the API: they go on by themselves, and find and mend what is wrong."""

import random
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from chassis import wire
from chassis.errors import Denied, Invalid, NotFound
from tests.fixtures.eventually import eventually
from tests.service.sla.world import World
from tests.unit.sla.histories import NOON, History, any_history
from tests.unit.sla.test_cover import DAY
from tocsin.sla.v1.upkeep_service_pb2 import CreateSlaRunRequest, GetSlaRunRequest, SlaRun
from tocsin.sla.v1.upkeep_service_pb2_grpc import UpkeepServiceStub


def stamp(at: Any) -> Timestamp:
    """An instant as requests carry it."""
    made = wire.timestamp(at)
    assert made is not None
    return made


async def ran(world: World, kind: SlaRun.Kind.ValueType, *, request_id: str = "") -> SlaRun:
    """A run, when it is over."""
    admin = UpkeepServiceStub(await world.wire("admin"))
    made = await admin.CreateSlaRun(CreateSlaRunRequest(run=SlaRun(kind=kind), request_id=request_id))

    async def over() -> SlaRun | None:
        run = await admin.GetSlaRun(GetSlaRunRequest(run_id=made.run_id))
        return run if run.state == SlaRun.DONE else None

    found = await eventually(over)
    assert found is not None
    return found


async def test_a_check_finds_what_a_rebuild_mends(world: World) -> None:
    """Alerts of several blocks of days."""
    dice = random.Random(1)
    histories = [any_history(dice) for _ in range(30)]
    histories += [History(opened_at=NOON + n * 9 * DAY).opened() for n in range(3)]
    await world.tell(*histories)
    checked = await ran(world, SlaRun.CHECK)
    assert (checked.done, checked.total, checked.differences) == (33, 33, 0)
    for table in ("rollups", "rollup_changes"):
        await world.run(f"update {table} set total = total + 1 where dimension = 'all'")
    assert (await ran(world, SlaRun.CHECK)).differences > 0
    assert (await ran(world, SlaRun.FACTS)).done == 33
    assert (await ran(world, SlaRun.CHECK)).differences == 0


async def test_facts_are_made_anew_from_the_stream(world: World) -> None:
    """When they were lost, or had missed something; what was known is not counted twice."""
    dice = random.Random(2)
    histories = [any_history(dice) for _ in range(20)]
    await world.tell(*histories)
    window = {"start": stamp(NOON - 2 * DAY), "end": stamp(NOON + 2 * DAY)}
    before = await world.overview(**window)
    await world.run("delete from facts where acked_at is not null")
    await world.run("truncate rollups, rollup_changes")
    run = await ran(world, SlaRun.STREAM)
    assert run.done == run.total
    await world.taken([event for history in histories for event in history.events])
    await ran(world, SlaRun.FACTS)
    after = await world.overview(**window)
    for overview in (before, after):
        overview.open_unacked_age.ClearField("avg")
        overview.open_unacked_age.ClearField("max")
    assert after == before
    assert (await ran(world, SlaRun.CHECK)).differences == 0


async def test_a_request_is_one_run(world: World) -> None:
    """However often it comes; nothing to rebuild is done at once."""
    one = await ran(world, SlaRun.FACTS, request_id="r")
    assert one == await ran(world, SlaRun.FACTS, request_id="r")
    assert (one.done, one.total) == (0, 0)


async def test_wrong_runs(world: World) -> None:
    """And who may not ask for one."""
    admin = UpkeepServiceStub(await world.wire("admin"))
    with pytest.raises(Invalid, match="kind: 0 is not a kind"):
        await admin.CreateSlaRun(CreateSlaRunRequest())
    with pytest.raises(Invalid, match="run_id"):
        await admin.GetSlaRun(GetSlaRunRequest(run_id="x"))
    with pytest.raises(NotFound):
        await admin.GetSlaRun(GetSlaRunRequest(run_id="0197b2a0-0000-7000-8000-000000000000"))
    reader = UpkeepServiceStub(await world.wire("sla:read"))
    with pytest.raises(Denied):
        await reader.CreateSlaRun(CreateSlaRunRequest(run=SlaRun(kind=SlaRun.CHECK)))
