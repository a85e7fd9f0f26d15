"""Processes whose clocks are wrong: no level is skipped, repeated or late (FAULTS 23)."""

from pathlib import Path

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import Victims

LIBRARIES = tuple(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
OFFSETS = {"roster": "-1h", "escalation": "+1h", "notify": "-1h", "sla": "+1h", "gateway": "+1h"}

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not LIBRARIES, reason="no libfaketime here: install the package faketime"),
]


@pytest.mark.parametrize("sign", [1, -1])
async def test_row_23_every_clock_an_hour_off(victims: Victims, oracle: Oracle, sign: int) -> None:
    """Each service's in another direction than its neighbour's; the clock jumps under load, and jumps back."""
    async with oracle.load():
        await oracle.more(50)
        for name, offset in OFFSETS.items():
            await victims.otherwise(name, environment=faked(offset if sign == 1 else turned(offset)))
        await oracle.more(200)
        for name in OFFSETS:
            await victims.otherwise(name)
        await oracle.more(50)
    print(await oracle.judge(first_page=60.0))
    assert oracle.world.receiver.refused == 0


def faked(offset: str) -> dict[str, str]:
    """What makes a process's wall clock wrong; the monotonic one goes on."""
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def turned(offset: str) -> str:
    """The offset in the other direction."""
    return offset.translate(str.maketrans("+-", "-+"))
