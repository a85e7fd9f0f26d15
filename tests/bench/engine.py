"""The engine: what 100,000 timers cost that wait, 5,000 that are due in the same second, and how late steps are at 200/s."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from nats import connect

from chassis.server import Context
from cli.stack import schemas
from cli.stack.ports import Ports
from cli.stack.services import grpc_healthy
from tests.bench.process import KEY, process
from tests.fixtures.nats import start_nats
from tests.fixtures.postgres import PASSWORDS, start_postgres
from tests.service.escalation import world
from tests.service.escalation.world import NotifyPeer, RosterPeer
from tocsin.notify.v1 import page_service_pb2

WAITING, AT_ONCE, RATE = 100_000, 5_000, 200
IDLE, STEADY = 15.0, 15.0
"""Seconds of idling, and of steps at the rate."""
TICK = os.sysconf("SC_CLK_TCK")

ALERTS = """insert into alerts (alert_id, dedup_key, title, description, severity, source, labels, state, policy_id,
        opened_at, acked_by, closed_by, trigger_count, last_triggered_at, escalation_level, suppressed_by, version)
    select gen_random_uuid(), '', extract(epoch from now() + %(first)s + n * %(apart)s)::text, '', 'HIGH', 'bench',
        '{}', 'OPEN', 'p', now(), '', '', 1, now(), 0, '', 1
    from generate_series(1, %(count)s) n returning alert_id, title"""
TIMERS = f"""with opened as ({ALERTS})
    insert into timers (alert_id, kind, due_at, level, round, reason, targets, ready_at)
    select alert_id, 'ESCALATE', to_timestamp(title::float), 1, 0, 'INITIAL', '{{}}', to_timestamp(title::float)
    from opened"""
POLICY = """insert into escalation_policies
    (policy_id, display_name, matchers, priority, steps, repeat_count, handover, created_at, updated_at)
    values ('p', 'p', '{}', 0, '[{"targets": ["oncall://db"], "ack_timeout": 86400}]', 0, 'OFF', now(), now())"""


class Pages(NotifyPeer):
    """Notify, which notes how long after it was due it hears of each step: the alert's title says when that was."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []

    async def Page(
        self, request: page_service_pb2.PageRequest, context: Context
    ) -> page_service_pb2.PageResponse:
        now = time.time()
        self.late += [now - float(page.alert.title) for page in request.pages]
        ids = [page.execution.execution_id for page in request.pages]
        return page_service_pb2.PageResponse(execution_ids=ids)


@dataclass(frozen=True, slots=True)
class Bench:
    """A service with its engine, and its peers in this process."""

    conn: psycopg.AsyncConnection[Any]
    pid: int
    notify: Pages

    async def arm(self, count: int, *, first: float, apart: float) -> None:
        """Opens alerts whose first steps are due from `first` seconds on, so many seconds apart."""
        values = {"count": count, "first": f"{first} s", "apart": f"{apart} s"}
        query = TIMERS.replace("%(first)s", "%(first)s::interval").replace("%(apart)s", "%(apart)s::interval")
        await self.conn.execute(query.encode(), values)

    def used(self) -> float:
        """Seconds of processor that the service has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    async def idle(self) -> float:
        """The share of a core that the service uses while nothing is due."""
        before = self.used()
        await asyncio.sleep(IDLE)
        return (self.used() - before) / IDLE

    async def told(self, count: int) -> list[float]:
        """How late each of so many steps was, once notify has heard of all of them."""
        deadline = time.monotonic() + 60
        while len(self.notify.late) < count:
            assert time.monotonic() < deadline, f"{len(self.notify.late)} of {count}"
            await asyncio.sleep(0.02)
        late, self.notify.late[:] = sorted(self.notify.late), []
        return late


@asynccontextmanager
async def running() -> AsyncIterator[Bench]:
    """Everything started, and stopped again."""
    world.KEY = KEY
    roster, notify = RosterPeer(), Pages()  # type: ignore[abstract]  # answers what escalation asks
    roster.on_call["oncall://db"] = ["ada"]
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        postgres, nats = start_postgres(Path(directory), fsync=True), start_nats(Path(directory))
        await roster.start()
        await notify.start()
        try:
            list(schemas.migrate(postgres.url(), PASSWORDS))
            url = schemas.role_url(postgres.url(), "escalation", PASSWORDS["escalation"])
            address = f"127.0.0.1:{Ports().take()}"
            environment = {
                "TOCSIN_LISTEN": address,
                "TOCSIN_DATABASE_URL": url,
                "TOCSIN_NATS_URL": nats.url("escalation"),
                "TOCSIN_TOKEN_KEY": KEY,
                "TOCSIN_ROSTER_ADDRESS": roster.address,
                "TOCSIN_NOTIFY_ADDRESS": notify.address,
                "TOCSIN_LOG_LEVEL": "error",
            }
            client = await connect(nats.url())
            for stream, subjects in world.STREAMS.items():
                await client.jetstream().add_stream(name=stream, subjects=[subjects])
            await client.close()
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
                await conn.execute("set statement_timeout = 0")
                await conn.execute(POLICY)
                with process("services.escalation", environment, lambda: grpc_healthy(address)) as started:
                    yield Bench(conn, started.pid, notify)
        finally:
            await roster.stop()
            await notify.stop()
            postgres.stop()
            nats.stop()


async def measure() -> None:
    """All figures of the engine."""
    async with running() as bench:
        none = await bench.idle()
        await bench.arm(WAITING, first=7 * 86_400, apart=0)
        await bench.conn.execute("vacuum analyze timers")
        some = await bench.idle()
        print(f"idle: {some:.1%} of a core with {WAITING:,} timers armed, {none:.1%} with none")
        rounds = []
        for _ in range(3):
            await bench.arm(AT_ONCE, first=4, apart=0)
            rounds.append((await bench.told(AT_ONCE))[-1])
        print(
            f"{AT_ONCE:,} steps due at the same instant: decided and told to notify within "
            f"{statistics.median(rounds):.2f} s (worst {max(rounds):.2f} s)"
        )
        count = int(RATE * STEADY)
        await bench.arm(count, first=4, apart=1 / RATE)
        used, began = bench.used(), time.monotonic()
        late = await bench.told(count)
        share = (bench.used() - used) / (time.monotonic() - began)
        print(
            f"steps at {RATE} per s, for {share:.0%} of a core: told to notify {late[len(late) // 2] * 1e3:.0f} ms (p50), "
            f"{late[int(len(late) * 0.99)] * 1e3:.0f} ms (p99) after they were due"
        )


def main() -> None:
    """Runs them."""
    asyncio.run(measure())


if __name__ == "__main__":
    main()
