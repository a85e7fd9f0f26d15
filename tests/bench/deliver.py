"""Notify alone: pages to signed webhooks at a receiver, how fast, how many, and with receivers that hang; receipts."""

import asyncio
import statistics
import time
from collections.abc import Sequence

import psycopg
import uvloop

from chassis.client import channel
from chassis.ids import uuid7
from tests.bench import load
from tests.bench.echo import echoing
from tests.bench.process import alone
from tests.bench.receiver import HANG, Receiver, receiving
from tocsin.escalation.v1 import alert_pb2
from tocsin.notify.v1 import (
    contact_method_pb2,
    contact_method_service_pb2,
    contact_method_service_pb2_grpc,
    page_service_pb2,
    page_service_pb2_grpc,
    route_pb2,
    route_service_pb2,
)

PEOPLE = 50
RATE, SECONDS = 50, 20
BACKLOG = 10_000
ROUNDS, CALLS, IN_FLIGHT = 5, 6_000, 64
RECEIPT = "/tocsin.notify.v1.RouteService/RecordReceipt"
ENVIRONMENT = {
    "TOCSIN_RECEIPT_KEY": "bench" * 8,
    "TOCSIN_SECRETS_KEY": "bench" * 8,
    "TOCSIN_ESCALATION_ADDRESS": "127.0.0.1:1",
    "TOCSIN_WEBHOOK_ALLOW": "127.0.0.0/8",
}

Times = dict[str, float]
"""A monotonic instant by the id of an alert."""


def a_page(responder: str) -> page_service_pb2.Page:
    """An escalation step for one person."""
    alert_id = str(uuid7())
    alert = alert_pb2.Alert(
        alert_id=alert_id,
        title="disk full on db-1",
        description="the data volume is at 97 %",
        severity=alert_pb2.Severity.CRITICAL,
        state=alert_pb2.Alert.OPEN,
        labels={"team": "db", "host": "db-1", "env": "prod"},
        version=2,
        trigger_count=1,
    )
    alert.opened_at.GetCurrentTime()
    execution = alert_pb2.EscalationExecution(
        execution_id=str(uuid7()),
        alert_id=alert_id,
        level=1,
        reason=alert_pb2.EscalationExecution.INITIAL,
        recipients=[responder],
    )
    return page_service_pb2.Page(execution=execution, alert=alert)


class Notify:
    """A running notify, its database and a receiver."""

    def __init__(self, address: str, token: str, url: str, receiver: Receiver) -> None:
        self.address = address
        self.token = token
        self.receiver = receiver
        self.url = url

    async def people(self, prefix: str, count: int, path: str) -> list[str]:
        """So many people with a webhook each."""
        names = [f"{prefix}-{n}" for n in range(count)]
        async with channel(self.address, token=self.token) as peer:
            methods = contact_method_service_pb2_grpc.ContactMethodServiceStub(peer)
            for name in names:
                await methods.CreateContactMethod(
                    contact_method_service_pb2.CreateContactMethodRequest(
                        contact_method=contact_method_pb2.ContactMethod(
                            contact_method_id=name,
                            responder_id=name,
                            channel=contact_method_pb2.Channel.WEBHOOK,
                            address=f"{self.receiver.url}{path}/{name}",
                        )
                    )
                )
        return names

    async def page_at_rate(self, names: Sequence[str], seconds: float) -> Times:
        """Pages one after the other at the rate; when each was accepted, by person and alert."""
        accepted: Times = {}
        async with channel(self.address, token=self.token) as peer:
            pages = page_service_pb2_grpc.PageServiceStub(peer)

            async def one(page: page_service_pb2.Page) -> None:
                await pages.Page(page_service_pb2.PageRequest(pages=[page]))
                accepted[page.alert.alert_id] = time.monotonic()

            began, tasks = time.monotonic(), []
            for number in range(int(RATE * seconds)):
                await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
                tasks.append(asyncio.create_task(one(a_page(names[number % len(names)]))))
            await asyncio.gather(*tasks)
        return accepted

    async def page_together(self, names: Sequence[str], count: int) -> None:
        """So many pages, as escalation sends them when many steps are due."""
        async with channel(self.address, token=self.token) as peer:
            pages = page_service_pb2_grpc.PageServiceStub(peer)
            for start in range(0, count, 250):
                some = [a_page(names[n % len(names)]) for n in range(start, min(start + 250, count))]
                await pages.Page(page_service_pb2.PageRequest(pages=some))

    def arrived(self, count: int, path: str, patience: float = 60.0) -> list[float]:
        """Waits until so many have arrived below the path; when they did, in order."""
        ends = time.monotonic() + patience
        while True:
            found = [at for where, _, at in self.receiver.received() if where.startswith(path)]
            if len(found) >= count:
                return found
            assert time.monotonic() < ends, f"{len(found)} of {count} arrived"
            time.sleep(0.2)

    def alerts(self) -> dict[str, str]:
        """The alert of every route log."""
        with psycopg.connect(self.url) as conn:
            rows = conn.execute("select route_log_id::text, alert_id::text from route_logs")
            return {row[0]: row[1] for row in rows}

    def waits(self, accepted: Times, path: str) -> list[float]:
        """Milliseconds from the acceptance of each page to its bytes at the receiver, in order."""
        self.arrived(1, path)
        alerts, ends = self.alerts(), time.monotonic() + 30
        while True:
            came: Times = {}
            for where, route_log_id, at in self.receiver.received():
                if where.startswith(path) and route_log_id in alerts:
                    came.setdefault(alerts[route_log_id], at)
            if accepted.keys() <= came.keys():
                return sorted((came[alert] - at) * 1e3 for alert, at in accepted.items())
            assert time.monotonic() < ends, "not all pages came"
            time.sleep(0.2)


def told(waits: Sequence[float]) -> str:
    """The median and the 99th percentile."""
    return f"p50 {statistics.median(waits):.1f} ms, p99 {waits[int(len(waits) * 0.99)]:.1f} ms"


def latency(notify: Notify) -> None:
    """At a steady rate, alone and then with a tenth of the receivers hanging."""
    names = asyncio.run(notify.people("calm", PEOPLE, "/calm"))
    accepted = uvloop.run(notify.page_at_rate(names, SECONDS))
    print(f"page accepted to webhook at the receiver, {RATE}/s: {told(notify.waits(accepted, '/calm'))}")
    hanging = asyncio.run(notify.people("hanging", PEOPLE // 10, HANG))
    others = asyncio.run(notify.people("other", PEOPLE - len(hanging), "/other"))
    mixed = [*others, *hanging]

    async def both() -> Times:
        return await notify.page_at_rate(mixed, SECONDS)

    accepted = uvloop.run(both())
    alerts = notify.alerts()
    hung = {alerts[route] for where, route, _ in notify.receiver.received() if where.startswith(HANG)}
    with psycopg.connect(notify.url) as conn:
        hung |= {
            row[0]
            for row in conn.execute(
                "select alert_id::text from route_logs where responder_id like 'hanging-%'"
            )
        }
    others_alone = {alert: at for alert, at in accepted.items() if alert not in hung}
    print(
        f"the same for the others with 10 % of receivers hanging: {told(notify.waits(others_alone, '/other'))}"
    )


def throughput(notify: Notify) -> None:
    """A backlog to a fast receiver: the rate between the tenth and the ninetieth hundredth."""
    rates = []
    for number in range(ROUNDS):
        path = f"/fast{number}"
        names = asyncio.run(notify.people(f"fast{number}", PEOPLE, path))
        uvloop.run(notify.page_together(names, BACKLOG))
        at = notify.arrived(BACKLOG, path)
        first, last = BACKLOG // 10, BACKLOG * 9 // 10
        rates.append((last - first) / (at[last] - at[first]))
    print(
        f"signed webhooks from one process: {statistics.median(rates):,.0f} per s of {[round(r) for r in rates]}"
    )


def receipts(notify: Notify) -> None:
    """Receipts, each of a page of its own, against the no-op rate of grpc.aio."""
    with psycopg.connect(notify.url) as conn:
        found = conn.execute(
            "select route_log_id::text from route_logs where channel = 'WEBHOOK' and status = 'SENT' limit %s",
            [ROUNDS * CALLS],
        )
        sent = [row[0] for row in found]
    with echoing() as limit:
        _receipts(notify, limit, sent)


def _receipts(notify: Notify, limit: str, sent: list[str]) -> None:
    ratios, rates = [], []
    for number in range(ROUNDS):
        bodies = [
            route_service_pb2.RecordReceiptRequest(
                route_log_id=route, status=route_pb2.RouteLog.DELIVERED, receipt_id="bench"
            ).SerializeToString()
            for route in sent[number * CALLS : (number + 1) * CALLS]
        ]
        echo = load.rate(limit, load.HEALTH, b"", token=notify.token, calls=CALLS, in_flight=IN_FLIGHT)
        rates.append(load.rate(notify.address, RECEIPT, *bodies, token=notify.token, in_flight=IN_FLIGHT))
        ratios.append(rates[-1] / echo)
    print(
        f"receipts: {statistics.median(ratios):.0%} of grpc.aio's no-op rate ({statistics.median(rates):,.0f} per s)"
    )


def main() -> None:
    """All figures of delivery."""
    with receiving() as receiver, alone("notify", **ENVIRONMENT) as (address, token, url):
        notify = Notify(address, token, url, receiver)
        for part in (latency, throughput, receipts):
            part(notify)


if __name__ == "__main__":
    main()
