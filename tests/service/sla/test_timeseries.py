"""Figures step by step, in the days and weeks of a zone."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis import wire
from chassis.errors import Invalid
from tests.service.sla.world import World
from tests.unit.sla.histories import History, Severity
from tocsin.sla.v1.sla_service_pb2 import GetTimeSeriesRequest

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SPRING = datetime(2026, 3, 8, 5, 30, tzinfo=UTC)
"""Half an hour before midnight in Chicago, on the eve of the day of 23 hours."""
Step = GetTimeSeriesRequest.Step


async def totals(world: World, request: GetTimeSeriesRequest) -> list[int]:
    """How many alerts opened in each step."""
    answer = await world.sla.GetTimeSeries(request)
    return [point.overview.total_alerts for point in answer.points]


def chicago(step: Step.ValueType, *, days: int = 3) -> GetTimeSeriesRequest:
    """The days around the change of clocks, from midnight in Chicago on."""
    start = datetime(2026, 3, 7, 6, tzinfo=UTC)
    end = start + timedelta(days=days) - HOUR
    return GetTimeSeriesRequest(
        start=wire.timestamp(start), end=wire.timestamp(end), step=step, time_zone="America/Chicago"
    )


async def test_each_alert_counts_in_its_day(world: World) -> None:
    """Of the zone: the second day has 23 hours, and a day without alerts is there too."""
    await world.tell(
        History(opened_at=SPRING).opened().acknowledged(MINUTE),
        *(History(opened_at=SPRING + after * HOUR).opened() for after in (1, 23)),
        History(opened_at=SPRING - HOUR).suppressed(),
    )
    answer = await world.sla.GetTimeSeries(chicago(Step.DAY))
    starts = [point.start.ToDatetime(UTC).isoformat() for point in answer.points]
    assert starts == ["2026-03-07T06:00:00+00:00", "2026-03-08T06:00:00+00:00", "2026-03-09T05:00:00+00:00"]
    assert [point.overview.total_alerts for point in answer.points] == [1, 2, 0]
    assert [point.overview.suppressed_alerts for point in answer.points] == [1, 0, 0]
    assert answer.points[0].overview.mtta_seconds.avg == 60
    assert not answer.points[1].overview.mtta_seconds.HasField("avg")
    assert all(
        one.overview.end == other.overview.start
        for one, other in zip(answer.points, answer.points[1:], strict=False)
    )


async def test_hours_and_weeks(world: World) -> None:
    """Every step of the period is there; the sum is the overview's total."""
    await world.tell(*(History(opened_at=SPRING + n * 7 * HOUR).opened() for n in range(6)))
    hours = await totals(world, chicago(Step.HOUR))
    assert (len(hours), sum(hours)) == (71, 6)
    weeks = await totals(world, chicago(Step.WEEK, days=9))
    assert (len(weeks), sum(weeks)) == (2, 6)


async def test_filters_hold_for_each_step(world: World) -> None:
    """As for the overview."""
    await world.tell(
        History(opened_at=SPRING, severity=Severity.LOW).opened(),
        History(opened_at=SPRING, severity=Severity.HIGH).opened(),
    )
    request = chicago(Step.DAY)
    request.severity.append(Severity.LOW)
    assert await totals(world, request) == [1, 0, 0]


async def test_wrong_fields_are_named(world: World) -> None:
    """Also a step that would make too many points."""
    with pytest.raises(Invalid) as raised:
        await totals(world, GetTimeSeriesRequest(step=9, time_zone="Mars"))  # type: ignore[arg-type]
    assert [field.path for field in raised.value.fields] == ["step", "time_zone"]
    with pytest.raises(Invalid, match="step: HOUR makes more than 1000 points"):
        await totals(world, chicago(Step.HOUR, days=60))
