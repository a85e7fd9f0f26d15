"""Lists among 2,000,000 alerts: the newest open ones, by words, by label."""

import asyncio
import statistics
import time
from typing import Any

import psycopg

from chassis.client import channel
from tests.bench.process import alone
from tocsin.escalation.v1 import alert_service_pb2, alert_service_pb2_grpc
from tocsin.escalation.v1.alert_pb2 import Alert

ALERTS, PIECE = 2_000_000, 100_000
ROUNDS = 200
FILL = """insert into alerts (alert_id, dedup_key, title, description, severity, source, labels, state, policy_id,
        opened_at, acked_by, closed_by, trigger_count, last_triggered_at, escalation_level, suppressed_by, version)
    select gen_random_uuid(), '', 'disk full on host-' || n %% 5000, '', 'HIGH', 'source-' || n %% 50,
        jsonb_build_object('team', 'team-' || n %% 200, 'host', 'host-' || n %% 5000),
        case when n %% 20 = 0 then 'OPEN' else 'CLOSED' end, 'default', at, '', '', 1, at, 1, '', 1
    from generate_series(%(first)s::int, %(last)s::int) n,
        lateral (select now() - interval '1 second' * (2000000 - n)) as moment (at)"""
ASKED: dict[str, dict[str, Any]] = {
    "the newest 50": {},
    "the newest 50 open": {"state": [Alert.OPEN]},
    "50 open by source": {"state": [Alert.OPEN], "source": "source-40"},
    "50 by label": {"matchers": ['host="host-40"']},
    "50 by words": {"text": "full host-40"},
    "50 exhausted": {"exhausted": True},
}


async def measure(address: str, token: str) -> None:
    """Each list, again and again by one caller."""
    wire = channel(address, token=token)
    alerts = alert_service_pb2_grpc.AlertServiceStub(wire)
    for name, filters in ASKED.items():
        request = alert_service_pb2.ListAlertsRequest(page_size=50, **filters)
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = await alerts.ListAlerts(request, timeout=30)
            took.append(time.perf_counter() - began)
        took.sort()
        print(
            f"{name} of {ALERTS:,}: {statistics.median(took) * 1e3:.1f} ms (p50), {took[-3] * 1e3:.1f} ms (p99), "
            f"{len(found.alerts)} found"
        )
    await wire.close()


def main() -> None:
    """Fills the table, and measures."""
    with alone("escalation") as (address, token, url):
        with psycopg.connect(url, autocommit=True) as conn:
            for first in range(1, ALERTS, PIECE):
                conn.execute(FILL, {"first": first, "last": first + PIECE - 1})
            conn.execute("set statement_timeout = 0")
            conn.execute("vacuum analyze alerts")
        asyncio.run(measure(address, token))


if __name__ == "__main__":
    main()
