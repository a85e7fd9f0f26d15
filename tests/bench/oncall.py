"""Who is on call, asked of roster, against the no-op rate of the same server."""

import asyncio
import statistics
from datetime import UTC, datetime, timedelta

from chassis import wire
from chassis.client import channel
from tests.bench import load
from tests.bench.process import alone
from tocsin.roster.v1 import (
    on_call_service_pb2,
    responder_pb2,
    responder_service_pb2,
    responder_service_pb2_grpc,
    shift_pb2,
    shift_service_pb2,
    shift_service_pb2_grpc,
)

RESOLVE = "/tocsin.roster.v1.OnCallService/ResolveTarget"
ROUNDS, CALLS, IN_FLIGHT = 5, 10_000, 64


async def one_on_call(address: str, token: str) -> None:
    """One person with a shift on the schedule `default`."""
    now = datetime.now(UTC)
    async with channel(address, token=token) as peer:
        person = responder_service_pb2.CreateResponderRequest(
            responder=responder_pb2.Responder(responder_id="ada")
        )
        await responder_service_pb2_grpc.ResponderServiceStub(peer).CreateResponder(person)
        shift = shift_pb2.Shift(
            responder_id="ada",
            starts_at=wire.timestamp(now - timedelta(hours=1)),
            ends_at=wire.timestamp(now + timedelta(hours=8)),
        )
        request = shift_service_pb2.CreateShiftRequest(shift=shift)
        await shift_service_pb2_grpc.ShiftServiceStub(peer).CreateShift(request)


def main() -> None:
    """The share of the no-op rate, the median of the rounds."""
    body = on_call_service_pb2.ResolveTargetRequest(target="oncall://default").SerializeToString()
    ratios, rates = [], []
    with alone("roster") as (address, token, _):
        asyncio.run(one_on_call(address, token))
        for _ in range(ROUNDS):
            echo = load.rate(address, load.HEALTH, b"", token=token, calls=CALLS, in_flight=IN_FLIGHT)
            rates.append(load.rate(address, RESOLVE, body, token=token, calls=CALLS, in_flight=IN_FLIGHT))
            ratios.append(rates[-1] / echo)
    print(
        f"resolve: {statistics.median(ratios):.0%} of the no-op rate ({statistics.median(rates):,.0f} per s)"
    )


if __name__ == "__main__":
    main()
