"""Lists among 2,000,000 alerts: the newest open ones, and by what many or few alerts have."""

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
ROUNDS = 100
ENOUGH = 3.0
"""Seconds after which a list that is slow is not asked for again."""
FILL = """insert into alerts (alert_id, dedup_key, title, description, severity, source, labels, state, policy_id,
        opened_at, acked_by, closed_by, trigger_count, last_triggered_at, escalation_level, suppressed_by, version)
    select gen_random_uuid(), '', 'disk full on host-' || n %% 5000, '',
        case when n %% 100000 = 7 then 'CRITICAL' else 'HIGH' end,
        case when n %% 100000 = 7 then 'rare' else 'source-' || n %% 50 end,
        jsonb_build_object('team', 'team-' || n %% 200, 'host', 'host-' || n %% 5000, 'env',
            case when n %% 10 = 0 then 'staging' else 'production' end),
        case when n %% 20 = 0 then 'OPEN' when n %% 100000 = 7 then 'ACKED' else 'CLOSED' end,
        case when n %% 100000 = 7 then 'rare' when n < 1000000 then 'old' else 'default' end,
        at, '', '', 1, at, 1, '', 1
    from generate_series(%(first)s::int, %(last)s::int) n,
        lateral (select now() - interval '1 second' * (2000000 - n)) as moment (at)"""
ASKED: dict[str, dict[str, Any]] = {
    "the newest 50": {},
    "50 open": {"state": [Alert.OPEN]},
    "50 acknowledged (20 there are)": {"state": [Alert.ACKED]},
    "50 suppressed (none)": {"state": [Alert.SUPPRESSED]},
    "50 open by source": {"state": [Alert.OPEN], "source": "source-40"},
    "50 by a rare source (20)": {"source": "rare"},
    "50 by policy": {"policy_id": "default"},
    "50 by a policy of long ago": {"policy_id": "old"},
    "50 by a rare policy (20)": {"policy_id": "rare"},
    "50 open by a rare policy (none)": {"state": [Alert.OPEN], "policy_id": "rare"},
    "50 by a policy that there is not": {"policy_id": "none"},
    "50 by a rare severity (20)": {"severity": ["CRITICAL"]},
    "50 by a severity that none has": {"severity": ["LOW"]},
    "50 open by a rare severity (none)": {"state": [Alert.OPEN], "severity": ["CRITICAL"]},
    "50 by label (400)": {"matchers": ['host="host-40"']},
    "50 open by label (400)": {"state": [Alert.OPEN], "matchers": ['host="host-40"']},
    "50 by label (10,000)": {"matchers": ['team="team-40"']},
    "50 by label (200,000)": {"matchers": ['env="staging"']},
    "50 by label (1,800,000)": {"matchers": ['env="production"']},
    "50 open by a label that none of them has": {"state": [Alert.OPEN], "matchers": ['host="host-41"']},
    "50 without a label": {"matchers": ['host=""']},
    "50 by an expression (400)": {"matchers": ['host=~"host-4[0]"']},
    "50 by words (400)": {"text": "full host-40"},
    "50 by words (2,000,000)": {"text": "disk full"},
    "50 by words (40,000)": {"text": "source-40"},
    "50 by words that none has": {"text": "tepid"},
    "50 exhausted (none)": {"exhausted": True},
}


async def measure(address: str, token: str) -> None:
    """Each list, again and again by one caller."""
    wire = channel(address, token=token)
    alerts = alert_service_pb2_grpc.AlertServiceStub(wire)
    for name, filters in ASKED.items():
        request = alert_service_pb2.ListAlertsRequest(page_size=50, **filters)
        took: list[float] = []
        while len(took) < ROUNDS and sum(took) < ENOUGH:
            began = time.perf_counter()
            found = await alerts.ListAlerts(request, timeout=60)
            took.append(time.perf_counter() - began)
        print(
            f"{name} of {ALERTS:,}: {took[0] * 1e3:.1f} ms at first, then {statistics.median(took) * 1e3:.1f} ms (p50), "
            f"{max(took[1:] or took) * 1e3:.1f} ms at most, {len(found.alerts)} found",
            flush=True,
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
