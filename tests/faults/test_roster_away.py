"""Roster killed or stopped while levels fire: everybody is paged by what it said last (FAULTS 18)."""

import time

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import Victims

pytestmark = pytest.mark.timeout(240)
AWAY = 20.0
EXTRA, BUSY = 10.0, 1.5
"""Seconds by which a page may be later than usual, and by which a busy machine may stretch that."""


@pytest.mark.parametrize("fault", ["stopped", "killed"])
async def test_row_18_roster_away_while_levels_fire(victims: Victims, oracle: Oracle, fault: str) -> None:
    """Twenty seconds: by a process that hangs, or by one that is killed whenever it has come back."""
    stale = 0
    async with oracle.load():
        await oracle.more(60)
        ends = time.monotonic() + AWAY
        before = len(oracle.promised)
        if fault == "stopped":
            with victims.stopped("roster"):
                while time.monotonic() < ends:
                    await oracle.more(10)
        else:
            while time.monotonic() < ends:
                victims.kill("roster")
                await oracle.more(1)
        meanwhile = list(oracle.promised)[before:-10]
        await oracle.more(30)
    assert oracle.refusals.total() == 0
    verdict = await oracle.judge(first_page=EXTRA * BUSY)
    for alert_id in meanwhile:
        steps = (await oracle.world.ok("GET", f"/alerts/{alert_id}/escalations"))["executions"]
        stale += any(step["stale"] for step in steps)
    print(f"{stale} of {len(meanwhile)} alerts went by what roster had said last", verdict)
    assert stale > 0
    assert verdict.longest < EXTRA * BUSY
