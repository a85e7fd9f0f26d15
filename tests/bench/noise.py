"""What noise rules cost a trigger, and a storm of repeats counted exactly."""

import asyncio
import statistics
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import psycopg
import uvloop
from google.protobuf.duration_pb2 import Duration

from chassis import wire
from chassis.client import channel
from tests.bench import load
from tests.bench.ingest import REQUEST, drained
from tests.bench.process import alone
from tocsin.escalation.v1 import (
    alert_service_pb2,
    noise_pb2,
    noise_service_pb2,
    noise_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
)

SILENCES, AGGREGATIONS, INHIBITIONS = 1_000, 200, 200
ROUNDS, CALLS, IN_FLIGHT = 7, 6_000, 64
TRIGGERS, KEYS, BATCH = 20_000, 200, 500
PATIENCE = 60.0


async def rules(address: str, token: str) -> None:
    """Rules of every kind that this load asks about and none of which matches: by values, beginnings and middles."""
    ends_at = wire.timestamp(datetime.now(UTC) + timedelta(hours=1))
    async with channel(address, token=token) as peer:
        stub = noise_service_pb2_grpc.NoiseServiceStub(peer)

        async def silence(n: int) -> None:
            matcher = (f'host="web-{n}"', f'host=~"web-{n}-.*"', f'host=~".*(web|app)-{n}[0-9]+.*"')[n % 3]
            rule = noise_pb2.SilenceRule(matchers=[matcher, 'env=~"prod|stage"'], ends_at=ends_at)
            await stub.CreateSilenceRule(noise_service_pb2.CreateSilenceRuleRequest(silence_rule=rule))

        async def aggregation(n: int) -> None:
            rule = noise_pb2.AggregationRule(
                matchers=[f'service=~"svc-{n}|api-{n}"'], group_by=["team"], window=Duration(seconds=60)
            )
            await stub.CreateAggregationRule(
                noise_service_pb2.CreateAggregationRuleRequest(aggregation_rule=rule)
            )

        async def inhibition(n: int) -> None:
            rule = noise_pb2.InhibitionRule(
                source_matchers=[f'rack="r{n}"'], target_matchers=[f'host=~"r{n}-.*"'], equal=["dc"]
            )
            await stub.CreateInhibitionRule(
                noise_service_pb2.CreateInhibitionRuleRequest(inhibition_rule=rule)
            )

        for made, count in ((silence, SILENCES), (aggregation, AGGREGATIONS), (inhibition, INHIBITIONS)):
            for start in range(0, count, 16):
                await asyncio.gather(*(made(n) for n in range(start, min(start + 16, count))))


def cost() -> None:
    """The rate with the rules in force against the rate without, round by round, each on a stack of its own."""
    body, ratios = REQUEST.SerializeToString(), []
    with ExitStack() as stack:
        without, ruled = (stack.enter_context(alone("escalation")) for _ in range(2))
        asyncio.run(rules(*ruled[:2]))
        rates: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(ROUNDS):
            for name, (address, token, url) in (("without", without), ("with", ruled)):
                drained(url)
                rates[name].append(
                    load.rate(address, load.TRIGGER, body, token=token, calls=CALLS, in_flight=IN_FLIGHT)
                )
            ratios.append(rates["with"][-1] / rates["without"][-1])
    print(
        f"{SILENCES} silences, {AGGREGATIONS} aggregation and {INHIBITIONS} inhibition rules in force: "
        f"{statistics.median(ratios):.0%} of the rate without "
        f"({statistics.median(rates['with']):,.0f} of {statistics.median(rates['without']):,.0f} per s)"
    )


async def storm(address: str, token: str) -> float:
    """Triggers in batches through several callers, keys mixed; the seconds that it took."""
    async with channel(address, token=token) as peer:
        policy = policy_pb2.EscalationPolicy(policy_id="storm")
        policy.steps.add(targets=["responder://ada"])
        await policy_service_pb2_grpc.PolicyServiceStub(peer).CreateEscalationPolicy(
            policy_service_pb2.CreateEscalationPolicyRequest(escalation_policy=policy)
        )
        requests = [
            alert_service_pb2.TriggerAlertRequest(
                title="storm", dedup_key=f"key-{n * 7 % KEYS}", policy_id="storm"
            )
            for n in range(TRIGGERS)
        ]
        calls = peer.unary_unary(
            load.BATCH,
            request_serializer=alert_service_pb2.BatchTriggerAlertsRequest.SerializeToString,
            response_deserializer=alert_service_pb2.BatchTriggerAlertsResponse.FromString,
        )
        began = time.perf_counter()
        left = iter(range(0, TRIGGERS, BATCH))

        async def caller() -> None:
            for start in left:
                await calls(
                    alert_service_pb2.BatchTriggerAlertsRequest(requests=requests[start : start + BATCH])
                )

        await asyncio.gather(*(caller() for _ in range(8)))
        return time.perf_counter() - began


def counted() -> None:
    """One page for each key, and every trigger in the count of its alert; notify is away, so pages stay to be seen."""
    with alone("escalation", TOCSIN_ENGINE="true") as (address, token, url):
        took = uvloop.run(storm(address, token))
        deadline = time.monotonic() + PATIENCE
        with psycopg.connect(url, autocommit=True) as conn:
            while True:
                row = conn.execute(
                    """select count(*), sum(trigger_count), (select count(*) from pages),
                        (select count(*) from executions) from alerts"""
                ).fetchone()
                if row == (KEYS, TRIGGERS, KEYS, KEYS):
                    break
                assert time.monotonic() < deadline, f"alerts, triggers, pages, steps: {row}"
                time.sleep(0.05)
    print(
        f"a storm of {TRIGGERS:,} triggers of {KEYS} keys: {KEYS} pages, every trigger counted, "
        f"{TRIGGERS / took:,.0f} triggers/s"
    )


def main() -> None:
    """What rules cost, and the storm."""
    cost()
    counted()


if __name__ == "__main__":
    main()
