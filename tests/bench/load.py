"""Load on a gRPC server: so many calls, so many in flight, by a client in a process of its own."""

import subprocess
import sys
import tempfile
import time
from typing import Any

import grpc

HEALTH = "/grpc.health.v1.Health/Check"
TRIGGER = "/tocsin.escalation.v1.AlertService/TriggerAlert"
BATCH = "/tocsin.escalation.v1.AlertService/BatchTriggerAlerts"


def rate(address: str, method: str, *bodies: bytes, token: str, in_flight: int, calls: int = 0) -> float:
    """Calls per second of one run of unary calls, with the bodies in turn; as many as bodies unless `calls` says.

    Raises CalledProcessError when one was not answered by a message.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".hex") as file:
        file.write("\n".join(body.hex() for body in bodies))
        file.flush()
        command = [sys.executable, "-m", "tests.bench.frames", address, method, file.name, token]
        command += [str(calls or len(bodies)), str(in_flight)]
        ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(ran.stdout)


async def latencies(address: str, method: str, body: bytes, *, token: str, calls: int) -> list[float]:
    """Seconds of each of so many calls by one caller, one after the other."""
    took = []
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        for _ in range(calls):
            began = time.perf_counter()
            await call(body, metadata=(("authorization", f"Bearer {token}"),))
            took.append(time.perf_counter() - began)
    return took
