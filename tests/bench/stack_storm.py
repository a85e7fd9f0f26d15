"""Alerts of one team in the whole stack, alone and while another team's storm of 10,000 comes in by batches."""

import asyncio
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from chassis.client import channel
from tests.bench.deliver import Times, told
from tests.bench.receiver import Receiver, receiving
from tests.bench.storm import Round
from tests.fixtures.stack import running
from tocsin.escalation.v1 import (
    alert_pb2,
    alert_service_pb2,
    alert_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2, contact_method_service_pb2_grpc
from tocsin.roster.v1 import responder_pb2, responder_service_pb2, responder_service_pb2_grpc

STORM, BATCH, PEOPLE = 10_000, 500, 10
EVERY, ALONE, DURING = 0.05, 6.0, 12.0
"""Seconds between two alerts of the calm team, and for how long they come, alone and from the storm's beginning."""
PATIENCE = 120.0
ROUTES = "select route_log_id::text, alert_id::text from notify.route_logs"


async def _team(state: Mapping[str, Any], name: str, receiver: Receiver) -> None:
    """So many people with a webhook and a policy each, all of them named alike."""
    names = [f"{name}-{number}" for number in range(PEOPLE)]
    async with (
        _to(state, "roster") as roster,
        _to(state, "notify") as notify,
        _to(state, "escalation") as peer,
    ):
        responders = responder_service_pb2_grpc.ResponderServiceStub(roster)
        methods = contact_method_service_pb2_grpc.ContactMethodServiceStub(notify)
        policies = policy_service_pb2_grpc.PolicyServiceStub(peer)
        for one in names:
            responder = responder_pb2.Responder(responder_id=one, display_name=one, time_zone="UTC")
            await responders.CreateResponder(
                responder_service_pb2.CreateResponderRequest(responder=responder)
            )
            method = contact_method_pb2.ContactMethod(
                responder_id=one,
                channel=contact_method_pb2.Channel.WEBHOOK,
                address=f"{receiver.url}/{name}/{one}",
            )
            await methods.CreateContactMethod(
                contact_method_service_pb2.CreateContactMethodRequest(contact_method=method)
            )
            step = policy_pb2.EscalationStep(
                targets=[f"responder://{one}"], ack_timeout=Duration(seconds=600)
            )
            policy = policy_pb2.EscalationPolicy(policy_id=one, display_name=one, steps=[step])
            await policies.CreateEscalationPolicy(
                policy_service_pb2.CreateEscalationPolicyRequest(escalation_policy=policy)
            )


async def _calm(state: Mapping[str, Any], seconds: float) -> Times:
    """When each alert of the calm team was accepted."""
    accepted: Times = {}
    async with _to(state, "escalation") as peer, asyncio.TaskGroup() as tasks:
        alerts = alert_service_pb2_grpc.AlertServiceStub(peer)

        async def one(number: int) -> None:
            answer = await alerts.TriggerAlert(_alert("calm", number))
            accepted[answer.alert.alert_id] = time.monotonic()

        began = time.monotonic()
        for number in range(int(seconds / EVERY)):
            await asyncio.sleep(max(0.0, began + number * EVERY - time.monotonic()))
            tasks.create_task(one(number))
    return accepted


async def _storm(state: Mapping[str, Any]) -> None:
    async with _to(state, "escalation") as peer:
        alerts = alert_service_pb2_grpc.AlertServiceStub(peer)
        for start in range(0, STORM, BATCH):
            requests = [_alert("stormy", number) for number in range(start, start + BATCH)]
            await alerts.BatchTriggerAlerts(alert_service_pb2.BatchTriggerAlertsRequest(requests=requests))


def _alert(team: str, number: int) -> alert_service_pb2.TriggerAlertRequest:
    return alert_service_pb2.TriggerAlertRequest(
        title=f"disk full on {number}",
        severity=alert_pb2.Severity.HIGH,
        policy_id=f"{team}-{number % PEOPLE}",
    )


def _to(state: Mapping[str, Any], service: str) -> aio.Channel:
    return channel(state["grpc"][service], token=state["token"])


def _waits(state: Mapping[str, Any], receiver: Receiver, accepted: Times) -> list[float]:
    """Milliseconds from the acceptance of each alert to its bytes at the receiver, in order."""
    ends = time.monotonic() + PATIENCE
    with psycopg.connect(state["postgres"], autocommit=True) as conn:
        while True:
            alert_of: dict[str, str] = dict(conn.execute(ROUTES).fetchall())
            came = Times()
            for _, route_log_id, at in receiver.received():
                came.setdefault(alert_of[route_log_id], at)
            if accepted.keys() <= came.keys():
                return sorted((came[alert] - at) * 1e3 for alert, at in accepted.items())
            assert time.monotonic() < ends, "not all pages came"
            time.sleep(0.5)


def measure(state: Mapping[str, Any], receiver: Receiver) -> Round:
    """The calm team alone, then from the beginning of the storm on."""

    async def prepare() -> Times:
        for name in ("calm", "stormy"):
            await _team(state, name, receiver)
        return await _calm(state, ALONE)

    async def both() -> Times:
        storming = asyncio.create_task(_storm(state))
        accepted = await _calm(state, DURING)
        await storming
        return accepted

    alone = _waits(state, receiver, uvloop.run(prepare()))
    began = time.monotonic()
    stormy = _waits(state, receiver, uvloop.run(both()))
    ends = began + PATIENCE
    while len(storm := [at for path, _, at in receiver.received() if path.startswith("/stormy/")]) < STORM:
        assert time.monotonic() < ends, f"{len(storm)} of {STORM} pages came"
        time.sleep(0.5)
    return Round(alone, stormy, storm[-1] - began)


def main() -> None:
    """Both distributions."""
    with (
        receiving() as receiver,
        tempfile.TemporaryDirectory() as directory,
        running(Path(directory) / "data", "--ephemeral") as up,
    ):
        one = measure(up.state, receiver)
    print(
        f"alert accepted to its webhook {told(one.alone)}; with a storm that lasted {one.lasted:.1f} s {told(one.stormy)}"
    )


if __name__ == "__main__":
    main()
