"""Load on a gRPC server: so many calls, so many in flight, by h2load where it is installed, else by grpc.aio."""

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import uvloop

HEALTH = "/grpc.health.v1.Health/Check"
TRIGGER = "/tocsin.escalation.v1.AlertService/TriggerAlert"
BATCH = "/tocsin.escalation.v1.AlertService/BatchTriggerAlerts"
H2LOAD = shutil.which("h2load")
WINDOWS = ["-w", "20", "-W", "20"]
"""A MiB, so that a large answer does not wait for its reader."""
CLIENT = (
    "h2load"
    if H2LOAD
    else "grpc.aio in a process of its own (install h2load, of nghttp2-client, for less of a client)"
)


def rate(address: str, method: str, body: bytes, *, token: str, calls: int, in_flight: int) -> float:
    """Calls per second of one run of unary calls; raises RuntimeError when one failed."""
    if H2LOAD is None:
        command = [
            sys.executable,
            "-m",
            "tests.bench.load",
            address,
            method,
            body.hex(),
            token,
            str(calls),
            str(in_flight),
        ]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(b"\0" + len(body).to_bytes(4, "big") + body)
        headers = ["content-type: application/grpc", "te: trailers", f"authorization: Bearer {token}"]
        command = [H2LOAD, "-n", str(calls), "-c", "1", "-m", str(in_flight), "-d", file.name, *WINDOWS]
        command += [part for header in headers for part in ("-H", header)]
        ran = subprocess.run(
            [*command, f"http://{address}{method}"], check=True, capture_output=True, text=True
        )
    finished = re.search(r"finished in .*?, ([\d.]+) req/s", ran.stdout)
    if finished is None or f"{calls} succeeded, 0 failed, 0 errored" not in ran.stdout:
        raise RuntimeError(ran.stdout)
    return float(finished[1])


def rate_each(address: str, method: str, bodies: Sequence[bytes], *, token: str, in_flight: int) -> float:
    """Calls per second of one run with a body of its own for each call, by grpc.aio in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".hex") as file:
        file.write("\n".join(body.hex() for body in bodies))
        file.flush()
        command = [sys.executable, "-m", "tests.bench.load", address, method, f"@{file.name}", token]
        ran = subprocess.run(
            [*command, str(len(bodies)), str(in_flight)], check=True, capture_output=True, text=True
        )
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


async def _burst(
    address: str, method: str, bodies: Sequence[bytes], token: str, calls: int, in_flight: int
) -> float:
    async with grpc.aio.insecure_channel(address) as channel:
        call: Any = channel.unary_unary(method)
        left = iter(range(calls))

        async def caller() -> None:
            for number in left:
                await call(bodies[number % len(bodies)], metadata=(("authorization", f"Bearer {token}"),))

        await call(bodies[0], metadata=(("authorization", f"Bearer {token}"),))
        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return calls / (time.perf_counter() - began)


if __name__ == "__main__":
    where, what, content, bearer, count, at_once = sys.argv[1:]
    lines = Path(content[1:]).read_text().split("\n") if content.startswith("@") else [content]
    given = [bytes.fromhex(line) for line in lines]
    print(uvloop.run(_burst(where, what, given, bearer, int(count), int(at_once))))
