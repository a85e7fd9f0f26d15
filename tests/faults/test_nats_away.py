"""The broker away: services hear from one another what must not wait for it (FAULTS 17)."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up
from tests.system.world import World, rfc3339


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
