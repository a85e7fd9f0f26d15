"""Processes without file descriptors: what is connected is served, and everybody once there is room (FAULTS 36)."""

import asyncio
import time
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually

FILES = 64
BACK, BUSY = 5.0, 2.0
"""Seconds until the rate is as before, and by which a busy machine may stretch that."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("victim", ["gateway", "escalation"])
async def test_row_36_sixty_four_descriptors(victims: Victims, oracle: Oracle, victim: str) -> None:
    """A crowd of connections takes all; calls on connections that are there go on, and afterwards everybody is served.

    The gateway tells who comes meanwhile that there are too many.
    """
    await victims.otherwise(victim, files=FILES)
    address = (
        urlsplit(victims.state["gateway"]).netloc if victim == "gateway" else victims.state["grpc"][victim]
    )
    host, _, port = address.rpartition(":")
    async with oracle.load():
        await oracle.more(50)
        async with AsyncExitStack() as crowd:
            for _ in range(2 * FILES):
                _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), 5)
                crowd.callback(writer.close)
            await oracle.more(50)
            if victim == "gateway":
                await eventually(lambda: turned_away(host, int(port)), timeout=10)
        left = time.monotonic()
        took = await oracle.back_after(left)
        await oracle.more(50)
    print(f"back after {took:.1f} s", await oracle.judge(first_page=60.0))
    assert took < BACK * BUSY
    await victims.otherwise(victim)


async def turned_away(host: str, port: int) -> bool:
    """Whether a caller who comes now is answered that the gateway has too many."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        return (await asyncio.wait_for(reader.read(), 5)).startswith(b"HTTP/1.1 503 ")
    except OSError:
        return False
    finally:
        writer.close()
