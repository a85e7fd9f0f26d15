"""The final schedule of a window, as the API shows it."""

import time
from datetime import datetime, timedelta

import pytest

from chassis.errors import Invalid, NotFound
from chassis.wire import instant, timestamp
from tests.service.roster.world import HOUR, World, rotating, utc
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2

DAY = timedelta(days=1)
WEEKDAYS = [schedule_pb2.Restriction.Weekday.Value(day) for day in ("MON", "TUE", "WED", "THU", "FRI")]


async def preview(
    world: World, schedule_id: str, start: datetime | None = None, end: datetime | None = None
) -> schedule_service_pb2.PreviewScheduleResponse:
    """A preview."""
    return await world.roster.schedules.PreviewSchedule(
        schedule_service_pb2.PreviewScheduleRequest(
            schedule_id=schedule_id, start=timestamp(start), end=timestamp(end)
        )
    )


async def test_segments_and_gaps_are_clipped_to_the_window(world: World) -> None:
    await world.people("ada", "bob", "cyd")
    office = schedule_pb2.Restriction(weekdays=WEEKDAYS, start_time="09:00", end_time="17:00")
    await world.schedule("web", rotating("ada", "bob", restrictions=[office]), zone="America/Chicago")
    friday = utc("2026-03-06T00:00")
    await world.shift("cyd", friday + 20 * HOUR, friday + 22 * HOUR, on="web")
    await world.override("ada", friday + 16 * HOUR, friday + 18 * HOUR, on="web")
    shown = await preview(world, "web", friday + 16 * HOUR, friday + 3 * DAY + 15 * HOUR)
    found = [
        (
            segment.responder_id,
            f"{instant(segment, 'starts_at'):%dT%H}",
            f"{instant(segment, 'ends_at'):%dT%H}",
            schedule_pb2.ShiftSource.Value.Name(segment.source),
            segment.layer,
        )
        for segment in shown.segments
    ]
    assert found == [
        ("ada", "06T16", "06T18", "OVERRIDE", ""),
        ("bob", "06T16", "06T20", "LAYER", "primary"),
        ("cyd", "06T20", "06T22", "EXPLICIT", ""),
        ("bob", "06T22", "06T23", "LAYER", "primary"),
        ("ada", "09T14", "09T15", "LAYER", "primary"),
    ]
    assert [(instant(gap, "starts_at"), instant(gap, "ends_at")) for gap in shown.gaps] == [
        (friday + 23 * HOUR, friday + 3 * DAY + 14 * HOUR)
    ]


async def test_a_preview_shows_two_weeks_from_now_unless_asked_otherwise(world: World) -> None:
    [gap] = (await preview(world, "default")).gaps
    start, end = instant(gap, "starts_at"), instant(gap, "ends_at")
    assert start is not None
    assert end is not None
    assert end - start == 14 * DAY
    assert abs(world.now - start) < timedelta(seconds=5)


async def test_windows_beyond_limits_are_refused(world: World) -> None:
    start = utc("2026-03-01T00:00")
    for end in (start, start - DAY, start + 733 * DAY):
        with pytest.raises(Invalid) as caught:
            await preview(world, "default", start, end)
        assert [field.path for field in caught.value.fields] == ["end"]
    await preview(world, "default", start, start + 731 * DAY)
    with pytest.raises(NotFound):
        await preview(world, "nowhere")


async def test_a_year_of_three_layers_and_eight_people_is_quick(world: World) -> None:
    people = [f"person-{n}" for n in range(8)]
    await world.people(*people)
    nights = schedule_pb2.Restriction(start_time="20:00", end_time="08:00")
    office = schedule_pb2.Restriction(weekdays=WEEKDAYS, start_time="09:00", end_time="17:00")
    await world.schedule(
        "web",
        rotating(*people, name="base", unit=schedule_pb2.Rotation.WEEKLY),
        rotating(*people, name="nights", restrictions=[nights]),
        rotating(*people, name="office", restrictions=[office]),
        zone="Europe/Berlin",
    )
    start = utc("2026-01-01T00:00")
    took = []
    for _ in range(10):
        began = time.process_time()
        shown = await preview(world, "web", start, start + 365 * DAY)
        took.append(time.process_time() - began)
    assert len(shown.segments) > 1_000
    assert not shown.gaps
    assert min(took) < 0.1  # loose: the machine is shared; benches measure
