"""Any service killed at any moment under load: what was accepted is paged, and no page has two ids (FAULTS 1–9)."""

import asyncio
import os
import signal
from collections import Counter

import aiohttp
import pytest

from tests.fixtures.eventually import BORN, eventually
from tests.fixtures.stack import Up
from tests.system.world import World

LOAD = 200
KILL_AT = 60
"""The trigger after which the service is killed: in the middle of the load, while pages of the first are on their way."""


async def trigger_until_accepted(world: World, number: int, policy: str) -> str:
    """One trigger, repeated with the same request id until it is accepted: what a careful sender does."""
    body = {
        "title": f"load {number}",
        "severity": "CRITICAL",
        "source": world.mark,
        "policy_id": policy,
        "request_id": world.own(f"load-{number}"),
    }

    async def accepted() -> str:
        try:
            status, answer = await world.call("POST", "/api/alert/alerts", body)
        except aiohttp.ClientError:
            return ""
        assert status < 500 or status in (503, 504), answer
        return str(answer["alert"]["alert_id"]) if status == 200 else ""

    return await eventually(accepted, timeout=BORN)


@pytest.mark.parametrize("victim", ["roster", "escalation", "notify", "sla", "gateway"])
async def test_a_killed_service_loses_no_page_and_doubles_none(up: Up, world: World, victim: str) -> None:
    """200 alerts while the victim is killed: each is paged to both recipients, under one id per page."""
    ada, bob = await world.responder("ada"), await world.responder("bob")
    body = {
        "policy_id": world.own("p"),
        "steps": [{"targets": [f"responder://{ada}", f"responder://{bob}"], "ack_timeout": "600s"}],
    }
    policy = (await world.ok("POST", "/escalation-policies", body))["policy_id"]
    gate = asyncio.Semaphore(16)

    async def load(number: int) -> str:
        async with gate:
            if number == KILL_AT:
                os.kill(up.state["pids"][victim], signal.SIGKILL)
            return await trigger_until_accepted(world, number, policy)

    accepted = await asyncio.gather(*(load(number) for number in range(LOAD)))
    assert len(set(accepted)) == LOAD

    def told() -> bool:
        reached = {
            (page.data["alert"]["alert_id"], page.data["responder_id"]) for page in world.receiver.pages
        }
        missing = {(alert_id, name) for alert_id in accepted for name in (ada, bob)} - reached
        assert not missing, f"{len(missing)} pages of {2 * LOAD} did not come"
        return True

    await eventually(told, timeout=BORN)
    ids = {
        (page.data["alert"]["alert_id"], page.data["responder_id"], page.webhook_id)
        for page in world.receiver.pages
    }
    per_page = Counter((alert_id, name) for alert_id, name, _ in ids)
    assert set(per_page.values()) == {1}, "an alert was paged twice to one person"
    levels = await asyncio.gather(*(world.ok("GET", f"/alerts/{one}/escalations") for one in accepted[:50]))
    assert {len(found["executions"]) for found in levels} == {1}

    async def counted() -> bool:
        found = await world.ok("GET", f"/sla/overview?source={world.mark}")
        assert found["total_alerts"] == LOAD, found
        return True

    await eventually(counted, timeout=BORN)


async def test_postgres_restarted_is_a_503_and_then_everything_goes_on(up: Up, world: World) -> None:
    """No service is restarted for it (FAULTS 10)."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 600))
    before = up.state["pids"]
    statuses: Counter[int] = Counter()
    stop = asyncio.Event()

    async def keep_asking() -> None:
        """By POST: what is asked by GET is tried again by the gateway, and seldom fails in so short a time."""
        while not stop.is_set():
            status, answer = await world.call("POST", "/api/alert/alerts:escalation-run", {"dry_run": True})
            statuses[status] += 1
            assert status in (200, 503, 504), answer

    async with asyncio.TaskGroup() as asking:
        for _ in range(4):
            asking.create_task(keep_asking())
        await eventually(lambda: statuses[200] > 20, timeout=BORN)
        os.kill(before["postgres"], signal.SIGKILL)
        await eventually(lambda: statuses[503] > 0, timeout=BORN)
        alert_id = await trigger_until_accepted(world, 0, policy)
        await world.expect_page(ada, alert_id=alert_id, timeout=BORN)
        calm = statuses[200]
        await eventually(lambda: statuses[200] > calm + 100, timeout=BORN)
        stop.set()
    after = up.state["pids"]
    assert after["postgres"] != before["postgres"]
    assert {name: after[name] for name in after if name != "postgres"} == {
        name: before[name] for name in before if name != "postgres"
    }
