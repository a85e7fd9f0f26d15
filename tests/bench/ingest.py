"""Durable triggers against the no-op rate of grpc.aio, and batches against Postgres alone."""

import asyncio
import json
import statistics
import time
from datetime import UTC, datetime
from typing import Any

import psycopg
import uvloop

from chassis.ids import uuid7
from services.escalation.storage import alerts as storage
from tests.bench import load
from tests.bench.echo import echoing
from tests.bench.process import alone
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2

ROUNDS = 9
CALLS = {64: 8_000, 16: 5_000}
BATCHES, BATCH = 150, 100
CONNECTIONS, BATCHES_IN_FLIGHT = 4, 8
"""What the service writes at the same time, so that Postgres alone may as well; and as many again on their way."""
REQUEST = alert_service_pb2.TriggerAlertRequest(
    title="disk full on db-1",
    description="the data volume is at 97 %",
    severity=alert_pb2.Severity.CRITICAL,
    source="bench",
    labels={"team": "db", "host": "db-1", "env": "prod"},
)


def drained(url: str) -> None:
    """Waits until every event is published: what one side leaves behind must not be the other's burden."""
    with psycopg.connect(url, autocommit=True) as conn:
        while conn.execute("select 1 from outbox where published_at is null limit 1").fetchone():
            time.sleep(0.05)


def count(url: str) -> int:
    """How many alerts there are."""
    with psycopg.connect(url) as conn:
        found: tuple[Any, ...] | None = conn.execute("select count(*) from alerts").fetchone()
    assert found is not None
    return int(found[0])


def unary(limit: str, address: str, token: str, url: str, in_flight: int) -> None:
    """Triggers without dedup key at so many in flight, against no-ops of the server at `limit` and of the service."""
    body, ratios, rates, echoes, own = REQUEST.SerializeToString(), [], [], [], []
    calls = CALLS[in_flight]
    for _ in range(ROUNDS):
        drained(url)
        echoes.append(load.rate(limit, load.HEALTH, b"", token=token, calls=calls, in_flight=in_flight))
        own.append(load.rate(address, load.HEALTH, b"", token=token, calls=calls, in_flight=in_flight))
        before = count(url)
        rates.append(load.rate(address, load.TRIGGER, body, token=token, calls=calls, in_flight=in_flight))
        assert count(url) - before >= calls, "a trigger that was answered is not there"
        ratios.append(rates[-1] / echoes[-1])
    print(
        f"unary durable trigger, {in_flight} in flight: {statistics.median(ratios):.0%} of grpc.aio's no-op rate "
        f"({statistics.median(rates):,.0f} of {statistics.median(echoes):,.0f} per s; "
        f"the service's own no-op {statistics.median(own):,.0f})"
    )


def lone(address: str, token: str, url: str) -> None:
    """One caller alone."""
    drained(url)
    took = sorted(
        uvloop.run(
            load.latencies(address, load.TRIGGER, REQUEST.SerializeToString(), token=token, calls=1_000)
        )
    )
    print(f"unary durable trigger, one caller: p50 {took[500] * 1e3:.2f} ms, p99 {took[990] * 1e3:.2f} ms")


def batch(address: str, token: str, url: str) -> None:
    """Batches of 100 through the service, against the service's own statement on as many connections."""
    body = alert_service_pb2.BatchTriggerAlertsRequest(requests=[REQUEST] * BATCH).SerializeToString()
    ratios, rates, limits = [], [], []
    for _ in range(ROUNDS):
        drained(url)
        limits.append(uvloop.run(_alone(url)))
        drained(url)
        calls = load.rate(address, load.BATCH, body, token=token, calls=BATCHES, in_flight=BATCHES_IN_FLIGHT)
        rates.append(calls * BATCH)
        ratios.append(rates[-1] / limits[-1])
    print(
        f"batch trigger of {BATCH}: {statistics.median(ratios):.0%} of Postgres alone "
        f"({statistics.median(rates):,.0f} of {statistics.median(limits):,.0f} alerts/s)"
    )


async def _alone(url: str) -> float:
    """Alerts per second that Postgres opens with the statement, its parameters made before."""
    parameters = iter([_parameter() for _ in range(BATCHES)])

    async def connection() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True, prepare_threshold=0) as conn:
            for parameter in parameters:
                await (await conn.execute(storage.OPEN, (parameter,))).fetchall()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return BATCHES * BATCH / (time.perf_counter() - began)


def _parameter() -> str:
    now = datetime.now(UTC).isoformat()
    row = {
        "dedup_key": "",
        "title": REQUEST.title,
        "description": REQUEST.description,
        "severity": "CRITICAL",
        "source": REQUEST.source,
        "labels": dict(REQUEST.labels),
        "state": "OPEN",
        "policy_id": "default",
        "opened_at": now,
        "event": "alert.opened",
        "data": "QUJD" * 100,
        "trace_parent": "",
    }
    return json.dumps([{**row, "alert_id": str(uuid7())} for _ in range(BATCH)])


def main() -> None:
    """All figures of ingest."""
    with alone("escalation") as (address, token, url):
        with echoing() as limit:
            for in_flight in CALLS:
                unary(limit, address, token, url, in_flight)
        lone(address, token, url)
        batch(address, token, url)


if __name__ == "__main__":
    main()
