"""The broker away for 20 s: pages go on; when it is back every event arrives, in order per alert (FAULTS 12, 17)."""

import asyncio
import os
import signal
from collections import defaultdict

import nats

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up
from tests.system.test_doors import EVENTS
from tests.system.world import World

AWAY = 20.0
ALERTS = 40


async def test_pages_go_on_while_the_broker_is_away_and_no_event_is_lost(up: Up, world: World) -> None:
    """Stopped, not killed: connections stay open and nobody answers, the worse of the two."""
    ada = await world.responder("ada")
    policy = await world.policy((f"responder://{ada}", 600))
    pid = up.state["pids"]["nats"]
    loop = asyncio.get_running_loop()
    os.kill(pid, signal.SIGSTOP)
    try:
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
    finally:
        os.kill(pid, signal.SIGCONT)

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
