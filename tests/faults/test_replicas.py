"""A replica that leads the relay is stopped for long and wakes up: another has taken over, and it is harmless (FAULTS 19)."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.stack.services import grpc_healthy
from tests.faults.heard import expect_every_version
from tests.faults.oracle import Oracle
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually
from tests.fixtures.ports import PORTS

TAKEOVER, BUSY = 3.0, 3.0
STOPPED = 60.0
FRESH = "select count(*) > 0 from escalation.outbox where published_at > now() - interval '1 s' and at > '{}'"
NOW = "select clock_timestamp()"


@pytest.mark.timeout(300)
async def test_row_19_the_leader_stopped_for_a_minute(
    victims: Victims, oracle: Oracle, tmp_path: Path
) -> None:
    """It leads, has claimed timers and holds sessions; a replica takes all of that over."""
    with replica(victims, "escalation", tmp_path) as address:
        await eventually(lambda: asyncio.to_thread(grpc_healthy, address), timeout=60)
        await victims.otherwise("gateway", environment={"TOCSIN_ESCALATION_ADDRESS": address})
        await victims.otherwise("notify", environment={"TOCSIN_ESCALATION_ADDRESS": address})
        async with oracle.load(rate=20):
            await oracle.more(60)
            with victims.stopped("escalation"):
                began, since = time.monotonic(), await victims.ask(NOW)
                await eventually(lambda: victims.ask(FRESH.format(since)), timeout=30)
                took = time.monotonic() - began
                while time.monotonic() < began + STOPPED:
                    await oracle.more(20)
            await oracle.more(60)
        verdict = await oracle.judge(first_page=60.0)
        print(f"another led after {took:.1f} s", verdict)
        want = {one: int((await oracle.world.alert(one))["version"]) for one in oracle.promised}
        await expect_every_version(victims.state["nats"], want)
        await victims.otherwise("gateway")
        await victims.otherwise("notify")
    assert took < TAKEOVER * BUSY


@contextmanager
def replica(victims: Victims, name: str, directory: Path) -> Iterator[str]:
    """One more process of a service, told what the first was told; its address."""
    told = Path(f"/proc/{victims.pid(name)}/environ").read_bytes().decode().rstrip("\0").split("\0")
    address = f"127.0.0.1:{PORTS.take()}"
    mine = {"TOCSIN_LISTEN": address, "TOCSIN_METRICS_LISTEN": ""}
    environment = dict(line.split("=", 1) for line in told) | mine
    with (directory / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            env={**os.environ, **environment},
            cwd=directory,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield address
    finally:
        process.kill()
        process.wait()
