"""The broker away for 20 s: pages go on; when it is back every event arrives, in order per alert (FAULTS 12, 17)."""

import asyncio
import os
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import nats
import pytest

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up
from tests.system.test_doors import EVENTS
from tests.system.world import World, rfc3339

AWAY = 20.0
ALERTS = 40


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Not killed: connections stay open and nobody answers, the worse of the two."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def route(world: World, responder_id: str, status: str) -> bool:
    """Whether the webhook to a person has come so far."""
    found = await world.ok("GET", f"/routes?responder_id={responder_id}&channel=WEBHOOK")
    return status in [one["status"] for one in found["routes"]]


@pytest.mark.faults
async def test_what_is_taken_while_the_broker_is_away_rings_nobody(up: Up, world: World) -> None:
    """Notify hears of it from escalation itself: what was to be sent later is cancelled."""
    ada = await world.responder("ada", webhook=False)
    later = {"channel": "WEBHOOK", "address": world.receiver.url, "delay": "30s"}
    await world.ok("POST", "/contact-methods", {"responder_id": ada, **later})
    policy = await world.policy((f"responder://{ada}", 600))
    with stopped(up.state["pids"]["nats"]):
        alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
        await eventually(lambda: route(world, ada, "PENDING"), timeout=10)
        await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {"actor": ada})
        await eventually(lambda: route(world, ada, "CANCELLED"), timeout=25)
    assert world.pages(ada) == []


@pytest.mark.faults
async def test_who_comes_on_call_while_the_broker_is_away_is_told(up: Up, world: World) -> None:
    """Escalation hears of the handover from roster itself."""
    schedule = await world.schedule()
    ada, bob = await world.responder("ada", on=schedule), await world.responder("bob")
    policy = await world.policy((f"oncall://{schedule}", 600))
    alert_id = (await world.trigger(policy_id=policy))["alert"]["alert_id"]
    await world.expect_page(ada, alert_id=alert_id)
    with stopped(up.state["pids"]["nats"]):
        now = datetime.now(UTC)
        cover = {"schedule_id": schedule, "responder_id": bob, "replaced_responder_id": ada}
        during = {"starts_at": rfc3339(now), "ends_at": rfc3339(now + timedelta(hours=1))}
        await world.ok("POST", "/oncall/overrides", cover | during)
        page = await world.expect_page(bob, alert_id=alert_id, timeout=30)
    assert page.data["reason"] == "SHIFT_HANDOVER"


async def test_pages_go_on_while_the_broker_is_away_and_no_event_is_lost(up: Up, world: World) -> None:
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 600))
    loop = asyncio.get_running_loop()
    with stopped(up.state["pids"]["nats"]):
        ends = loop.time() + AWAY
        triggered = []
        for number in range(ALERTS):
            answer = await world.trigger(
                f"alert {number}", policy_id=policy, dedup_key=world.own(str(number))
            )
            triggered.append(str(answer["alert"]["alert_id"]))
            await world.trigger(f"alert {number}", policy_id=policy, dedup_key=world.own(str(number)))
        for alert_id in triggered:
            page = await world.expect_page(ada, alert_id=alert_id)
            assert page.data["reason"] == "INITIAL"
            await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {"actor": ada})
        await asyncio.sleep(max(0.0, ends - loop.time()))  # the length of the outage is what is tested

    want = {alert_id: int((await world.alert(alert_id))["version"]) for alert_id in triggered}
    seen: dict[str, list[int]] = defaultdict(list)
    ids: set[str] = set()
    client = await nats.connect(up.state["nats"])
    try:
        subscription = await client.jetstream().subscribe("alert.>", ordered_consumer=True)

        async def complete() -> bool:
            while True:
                try:
                    message = await subscription.next_msg(0.2)
                except TimeoutError:
                    break
                headers = message.headers or {}
                if headers["ce-id"] not in ids and headers["ce-subject"] in want:
                    ids.add(headers["ce-id"])
                    seen[headers["ce-subject"]].append(
                        EVENTS[message.subject].FromString(message.data).version
                    )
            return all(len(seen[alert_id]) >= version for alert_id, version in want.items())

        await eventually(complete, timeout=40)
    finally:
        await client.close()
    assert seen == {alert_id: list(range(1, version + 1)) for alert_id, version in want.items()}
    overview = await eventually(lambda: _counted(world), timeout=20)
    assert overview


async def _counted(world: World) -> bool:
    found = await world.ok("GET", f"/sla/overview?source={world.mark}")
    return bool((found["total_alerts"], found["acked_alerts"]) == (ALERTS, ALERTS))
