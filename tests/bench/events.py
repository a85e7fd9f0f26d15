"""Events into figures: a backlog taken in by one process, and how soon an event is seen, also beside poison.

`python -m tests.bench.events 100000` does it with a backlog of that many events.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import uvloop

from chassis.auth import mint
from chassis.bus import Bus
from chassis.client import channel
from chassis.cloudevents import Message, Received
from cli.stack import schemas
from cli.stack.nats import Nats
from cli.stack.ports import Ports
from cli.stack.services import grpc_healthy
from tests.bench.process import KEY, process
from tests.fixtures.nats import start_nats
from tests.fixtures.postgres import PASSWORDS, start_postgres
from tests.unit.sla.histories import History, Severity, received
from tocsin.sla.v1.sla_service_pb2 import GetOverviewRequest
from tocsin.sla.v1.sla_service_pb2_grpc import SlaServiceStub

EVENTS, WINDOW = 50_000, 500
RATE, SECONDS = 100, 10
"""Of the second part: events a second, and for how long."""
STREAMS = {"TOCSIN_ALERT": "alert.>", "TOCSIN_NOTIFICATION": "notification.>"}
SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW, Severity.INFO)
SECOND = timedelta(seconds=1)


def histories(events: int) -> Iterator[History]:
    """Alerts of twenty sources over the last two hours, of five events each."""
    now = datetime.now(UTC)
    for number in range(events // 5):
        opened_at = now - 7200 * SECOND * (1 - number * 5 / events)
        history = History(
            opened_at=opened_at, severity=SEVERITIES[number % 5], source=f"source-{number % 20}"
        )
        who = f"responder-{number % 6}"
        history.opened().escalated(targets=["oncall://db"], recipients=[who]).sent(2 * SECOND, who)
        yield history.acknowledged((30 + number % 300) * SECOND, who).closed((600 + number % 1000) * SECOND)


def message(event: Received) -> Message:
    """As the owners' relays publish it."""
    lines = [
        f"ce-specversion: 1.0\r\nce-id: {event.id}\r\nce-source: /tocsin/bench\r\nce-type: {event.type}",
        f"ce-time: {datetime.now(UTC).isoformat()}\r\nce-subject: {event.subject}",
        "ce-datacontenttype: application/protobuf",
    ]
    return Message(str(event.id), event.type, lines, event.data)


async def published(bus: Bus, events: Sequence[Received]) -> None:
    """Publishes the events, window by window."""
    for start in range(0, len(events), WINDOW):
        window = [message(event) for event in events[start : start + WINDOW]]
        assert len(await bus.publish(window)) == len(window)


async def backlog(broker: Nats, events: int) -> None:
    """The streams, with the events of the alerts one step after the other, as they happen."""
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    for name, subject in STREAMS.items():
        await bus.ensure_stream(name, [subject])
    steps = zip(*(history.events for history in histories(events)), strict=True)
    await published(bus, [event for step in steps for event in step])
    await bus.close()


def taken(url: str, events: int) -> float:
    """Events a second, from the first that is recorded to the last."""
    with psycopg.connect(url, autocommit=True) as conn:
        first: tuple[float, int] | None = None
        while True:
            row = conn.execute("select count(*) from inbox").fetchone()
            assert row is not None
            at = time.perf_counter()
            if row[0] and first is None:
                first = at, row[0]
            if row[0] == events and first is not None:
                return (events - first[1]) / (at - first[0])
            time.sleep(0.1)


async def seen(broker: Nats, address: str, *, poison: int) -> list[float]:
    """Milliseconds from the publishing of an alert's first event until the overview counts it, at 100 events/s.

    After every so many alerts there is one event that cannot be read; none for 0.
    """
    bus = Bus(broker.url(), name="tocsin")
    await bus.connect()
    wire = channel(address, token=mint(KEY, subject="bench", scopes=["admin"]))
    stub, source = SlaServiceStub(wire), f"watched-{poison}"
    known, sent = 0, list[float]()
    waits = list[float]()

    async def looks() -> None:
        nonlocal known
        while known < RATE * SECONDS:
            found = (await stub.GetOverview(GetOverviewRequest(source=source))).total_alerts
            now = time.perf_counter()
            waits.extend((now - at) * 1000 for at in sent[known:found])
            known = found
            await asyncio.sleep(0.02)

    looking = asyncio.create_task(looks())
    began = time.perf_counter()
    for number in range(RATE * SECONDS):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        sent.append(time.perf_counter())
        await published(bus, History(opened_at=datetime.now(UTC), source=source).opened().events)
        if poison and number % poison == poison - 1:
            await published(bus, [received("alert.opened", b"\xff")])
    async with asyncio.timeout(30):
        await looking
    await wire.close()
    await bus.close()
    return waits


def main() -> None:
    """Both, with one process on a Postgres and a NATS of its own."""
    events = int(sys.argv[1]) if sys.argv[1:2] and sys.argv[1].isdigit() else EVENTS
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        postgres, nats = start_postgres(Path(directory), fsync=True), start_nats(Path(directory))
        try:
            list(schemas.migrate(postgres.url(), PASSWORDS))
            url = schemas.role_url(postgres.url(), "sla", PASSWORDS["sla"])
            uvloop.run(backlog(nats, events))
            address = f"127.0.0.1:{Ports().take()}"
            environment = {
                "TOCSIN_LISTEN": address,
                "TOCSIN_DATABASE_URL": url,
                "TOCSIN_NATS_URL": nats.url("sla"),
                "TOCSIN_TOKEN_KEY": KEY,
                "TOCSIN_LOG_LEVEL": "error",
            }
            with process("services.sla", environment, lambda: grpc_healthy(address)):
                print(f"  {taken(url, events):,.0f} events/s of a backlog of {events:,}", flush=True)
                calm = uvloop.run(seen(nats, address, poison=0))
                poisoned = uvloop.run(seen(nats, address, poison=100))
        finally:
            postgres.stop()
            nats.stop()
    for name, waits in (("", calm), (" beside 1 % poison", poisoned)):
        late = statistics.quantiles(waits, n=100)[98]
        print(f"  seen after {statistics.median(waits):.0f} ms, p99 {late:.0f} ms, at {RATE}/s{name}")


if __name__ == "__main__":
    main()
