"""The gateway as a process: ready, measured, and gone without an error when told."""

import asyncio
import os
import sys
from pathlib import Path

import aiohttp

from tests.fixtures.eventually import BORN, PATIENCE, eventually
from tests.fixtures.ports import PORTS
from tests.service.gateway.stage import KEY, standing_in

ROOT = Path(__file__).parents[3]


async def test_it_serves_counts_and_stops() -> None:
    """SIGTERM ends it with status 0."""
    async with standing_in() as services:
        await _serves_counts_and_stops(services.server.address)


async def _serves_counts_and_stops(backend: str) -> None:
    listen, metrics = (f"127.0.0.1:{PORTS.take()}" for _ in range(2))
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
        "TOCSIN_LISTEN": listen,
        "TOCSIN_METRICS_LISTEN": metrics,
        "TOCSIN_TOKEN_KEY": KEY,
    } | {f"TOCSIN_{name}_ADDRESS": backend for name in ("ROSTER", "ESCALATION", "NOTIFY", "SLA")}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.gateway", env=environment)
    try:
        async with aiohttp.ClientSession() as session:

            async def healthy() -> bool:
                try:
                    async with session.get(f"http://{listen}/healthz") as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(healthy, BORN)
            async with session.get(f"http://{metrics}/metrics") as response:
                text = await response.text()
        assert 'tocsin_http_request_seconds_count{method="GET",route="/healthz",status="200"}' in text
        process.terminate()
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
