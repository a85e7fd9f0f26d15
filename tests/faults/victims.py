"""A stack whose processes are killed, stopped and started otherwise, and what they tell of themselves meanwhile."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import psycopg
from prometheus_client.parser import text_string_to_metric_families

from cli.stack.services import grpc_healthy
from tests.faults.proxy import Proxy, proxying
from tests.fixtures.eventually import eventually
from tests.fixtures.ports import PORTS
from tests.fixtures.stack import ROOT, Up

INSIDE = Path(__file__).parent / "inside"
SERVICES = ("roster", "escalation", "notify", "sla")
EVERYTHING = (*SERVICES, "gateway", "nats", "postgres")
BACK = 60.0
"""Seconds that a killed process may take to answer again on a busy machine."""


class Victims:
    """The processes of one stack on one data directory, whose gateway keeps its address over every restart."""

    def __init__(self, directory: Path, *, code: Path = ROOT) -> None:
        self._directory = directory
        self._code = code
        self._plan: dict[str, Any] = {}
        self._gateway = f"127.0.0.1:{PORTS.take()}"
        self.killed_at: list[float] = []
        """Monotonic instants at which something was killed."""
        self.up = self._start()

    def _start(self) -> Up:
        environment = {"PYTHONPATH": str(INSIDE), "TOCSIN_FAULT_PLAN": str(self._directory / "plan.json")}
        data = self._directory / "data"
        return Up(data, gateway=self._gateway, environment=environment, code=self._code)

    @property
    def state(self) -> dict[str, Any]:
        """stack.json as it is now."""
        return self.up.state

    def pid(self, name: str) -> int:
        """The process id of a part as it is now."""
        return int(self.state["pids"][name])

    def kill(self, *names: str) -> None:
        """Kills parts at once, nobody asked."""
        pids = self.state["pids"]
        self.killed_at.append(time.monotonic())
        for name in names:
            send(pids[name], signal.SIGKILL)

    async def kill_supervisor_and_all(self) -> None:
        """Kills every process of the stack and `tocsin up` itself, which starts again on the same data."""
        self.kill("supervisor", *EVERYTHING)
        await asyncio.to_thread(self.up.process.wait)
        self.up = self._start()
        await asyncio.to_thread(self.up.wait)

    async def by_code(self, code: Path) -> None:
        """Ends the stack in good order and starts that of another checkout on the same data."""
        self._code = code
        await asyncio.to_thread(self.up.stop)
        self.up = self._start()
        await asyncio.to_thread(self.up.wait)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A part, with its children, that is there and does nothing, until the end of the block."""
        pid = self.pid(name)
        family = [pid, *children(pid)]  # Postgres serves each session by a child
        for one in family:
            send(one, signal.SIGSTOP)
        try:
            yield
        finally:
            for one in family:
                send(one, signal.SIGCONT)

    async def otherwise(self, name: str, **plan: Any) -> None:
        """Starts a service again, and ever after, as the plan says (inside/sitecustomize.py)."""
        self._plan[name] = plan
        (self._directory / "plan.json").write_text(json.dumps(self._plan))
        before = self.pid(name)
        self.kill(name)
        await eventually(lambda: self.pid(name) != before, timeout=BACK)
        await self.answers(name)

    async def answers(self, *names: str, within: float = BACK) -> None:
        """Waits until services answer."""

        async def healthy() -> bool:
            addresses = self.state["grpc"]
            return all(
                [
                    await asyncio.to_thread(grpc_healthy, addresses[name])
                    for name in names or SERVICES
                    if name in addresses
                ]
            )

        await eventually(healthy, timeout=within)

    async def metric(self, service: str, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels; 0 where there is none."""
        async with aiohttp.ClientSession() as http, http.get(self.state["metrics"][service]) as answer:
            families = text_string_to_metric_families(await answer.text())
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    @asynccontextmanager
    async def by_proxy(self, *names: str) -> AsyncIterator[dict[str, Proxy]]:
        """Has services reach Postgres by a proxy each, until the end of the block."""
        port = urlsplit(self.state["postgres"]).port
        assert port is not None
        async with AsyncExitStack() as stack:
            ways = {name: await stack.enter_async_context(proxying(port)) for name in names}
            try:
                for name, proxy in ways.items():
                    await self.otherwise(name, instead={f":{port}/": f":{proxy.port}/"})
                yield ways
            finally:
                for name in names:
                    await self.otherwise(name)

    @asynccontextmanager
    async def admin(self, *, autocommit: bool = True) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A session of Postgres's superuser."""
        connect = psycopg.AsyncConnection.connect
        async with await connect(self.state["postgres"], autocommit=autocommit) as conn:
            yield conn

    async def ask(self, query: str) -> Any:
        """The first value that a query of the superuser finds."""
        async with self.admin() as conn:
            row = await (await conn.execute(query)).fetchone()
        return row[0] if row else None


@contextmanager
def breakable(directory: Path, *, code: Path = ROOT) -> Iterator[Victims]:
    """A stack with its data and its plan below a directory, stopped at the end of the block."""
    victims = Victims(directory, code=code)
    try:
        victims.up.wait()
        yield victims
    finally:
        victims.up.stop()


def children(pid: int) -> list[int]:
    """The processes that a process has started and that are there."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid:
            found.append(int(stat.parent.name))
    return found


def send(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
