"""Two people edit one schedule: the second is told that it has changed."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import Conflict
from tests.service.roster.world import World
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2


async def test_a_change_may_ask_for_the_state_that_it_was_made_of(world: World) -> None:
    schedules = world.roster.schedules

    async def rename(name: str, etag: str) -> schedule_pb2.Schedule:
        schedule = schedule_pb2.Schedule(schedule_id="web", display_name=name, etag=etag)
        mask = FieldMask(paths=["display_name"])
        return await schedules.UpdateSchedule(
            schedule_service_pb2.UpdateScheduleRequest(schedule=schedule, update_mask=mask)
        )

    made = await schedules.CreateSchedule(
        schedule_service_pb2.CreateScheduleRequest(
            schedule=schedule_pb2.Schedule(schedule_id="web", etag="x")
        )
    )
    assert made.etag not in ("", "x")
    first = await rename("Ada's", made.etag)
    assert first.etag != made.etag
    with pytest.raises(Conflict) as refused:
        await rename("Bob's", made.etag)
    assert refused.value.reason == "ETAG_MISMATCH"
    read = await schedules.GetSchedule(schedule_service_pb2.GetScheduleRequest(schedule_id="web"))
    assert (read.display_name, read.etag) == ("Ada's", first.etag)
    assert (await rename("Bob's", "")).display_name == "Bob's"
