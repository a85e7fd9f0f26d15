"""Who is on call, asked of roster: against the no-op rate of grpc.aio, and over many schedules."""

import asyncio
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

from chassis import wire
from chassis.client import channel
from tests.bench import load
from tests.bench.echo import echoing
from tests.bench.process import alone
from tocsin.roster.v1 import (
    on_call_service_pb2,
    responder_pb2,
    responder_service_pb2,
    responder_service_pb2_grpc,
    schedule_pb2,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    shift_pb2,
    shift_service_pb2,
    shift_service_pb2_grpc,
)

RESOLVE = "/tocsin.roster.v1.OnCallService/ResolveTarget"
PREVIEW = "/tocsin.roster.v1.ScheduleService/PreviewSchedule"
ROUNDS, CALLS, IN_FLIGHT = 5, 10_000, 64
SCHEDULES, ASKED = 2_000, 100
PEOPLE = [f"person-{number}" for number in range(8)]
LAYERS: list[Any] = [
    {"name": "week", "responder_ids": PEOPLE, "rotation": {"unit": "WEEKLY", "start": "2026-01-05T09:00"}},
    {
        "name": "nights",
        "responder_ids": PEOPLE[::-1],
        "rotation": {"unit": "DAILY", "start": "2026-01-05T18:00"},
        "restrictions": [{"start_time": "18:00", "end_time": "09:00"}],
    },
    {
        "name": "weekend",
        "responder_ids": PEOPLE[:3],
        "rotation": {"unit": "DAILY", "start": "2026-01-05T12:00"},
        "restrictions": [{"weekdays": ["SAT", "SUN"], "start_time": "00:00", "end_time": "00:00"}],
    },
]
"""Three layers and eight people."""


async def one_on_call(address: str, token: str) -> None:
    """One person with a shift on the schedule `default`."""
    now = datetime.now(UTC)
    async with channel(address, token=token) as peer:
        await _people(peer)
        shift = shift_pb2.Shift(
            responder_id=PEOPLE[0],
            starts_at=wire.timestamp(now - timedelta(hours=1)),
            ends_at=wire.timestamp(now + timedelta(hours=8)),
        )
        request = shift_service_pb2.CreateShiftRequest(shift=shift)
        await shift_service_pb2_grpc.ShiftServiceStub(peer).CreateShift(request)


async def _people(peer: Any) -> None:
    for name in PEOPLE:
        person = responder_service_pb2.CreateResponderRequest(
            responder=responder_pb2.Responder(responder_id=name)
        )
        await responder_service_pb2_grpc.ResponderServiceStub(peer).CreateResponder(person)


async def many_schedules(address: str, token: str) -> None:
    """Schedules of three layers each."""
    gate = asyncio.Semaphore(16)
    async with channel(address, token=token, deadline=timedelta(minutes=1)) as peer:
        schedules = schedule_service_pb2_grpc.ScheduleServiceStub(peer)

        async def create(number: int) -> None:
            schedule = schedule_pb2.Schedule(
                schedule_id=f"s-{number}", time_zone="Europe/Berlin", layers=LAYERS
            )
            async with gate:
                await schedules.CreateSchedule(schedule_service_pb2.CreateScheduleRequest(schedule=schedule))

        await asyncio.gather(*(create(number) for number in range(SCHEDULES)))


def rate(limit: str, address: str, token: str) -> None:
    """The share of the no-op rate of the server at `limit`, the median of the rounds."""
    body = on_call_service_pb2.ResolveTargetRequest(target="oncall://default").SerializeToString()
    ratios, rates = [], []
    for _ in range(ROUNDS):
        echo = load.rate(limit, load.HEALTH, b"", token=token, calls=CALLS, in_flight=IN_FLIGHT)
        rates.append(load.rate(address, RESOLVE, body, token=token, calls=CALLS, in_flight=IN_FLIGHT))
        ratios.append(rates[-1] / echo)
    print(
        f"resolve: {statistics.median(ratios):.0%} of grpc.aio's no-op rate ({statistics.median(rates):,.0f} per s)"
    )


def alone_at_it(address: str, token: str) -> None:
    """One caller's milliseconds for a year of one schedule, and for everybody on call on all of them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    year = schedule_service_pb2.PreviewScheduleRequest(
        schedule_id="s-0", start=wire.timestamp(start), end=wire.timestamp(start + timedelta(days=365))
    )
    active = on_call_service_pb2.ResolveTargetRequest(target="oncall://active")
    for what, method, request in (
        ("preview of a year, three layers, eight people", PREVIEW, year),
        (f"oncall://active over {SCHEDULES:,} schedules", RESOLVE, active),
    ):
        body = request.SerializeToString()
        took = sorted(asyncio.run(load.latencies(address, method, body, token=token, calls=ASKED)))
        print(f"{what}: p50 {took[ASKED // 2] * 1e3:.1f} ms, with the call and its answer's bytes")


def main() -> None:
    """All figures of who is on call."""
    with alone("roster") as (address, token, _):
        asyncio.run(one_on_call(address, token))
        with echoing() as limit:
            rate(limit, address, token)
        asyncio.run(many_schedules(address, token))
        alone_at_it(address, token)


if __name__ == "__main__":
    main()
