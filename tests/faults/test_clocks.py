"""Processes whose clocks are wrong: no level is skipped, repeated or late (FAULTS 23)."""

import asyncio
from collections.abc import Mapping
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


async def test_row_23_every_clock_an_hour_off(victims: Victims, oracle: Oracle) -> None:
    """Each service's in another direction than its neighbour's, then the other way round, then right again, under load."""

    async def begin_anew(offsets: Mapping[str, str]) -> None:
        await asyncio.gather(*(victims.otherwise(one, environment=faked(by)) for one, by in offsets.items()))

    async with oracle.load():
        await oracle.more(50)
        await begin_anew(OFFSETS)
        await oracle.more(150)
        await begin_anew({name: turned(offset) for name, offset in OFFSETS.items()})
        await oracle.more(150)
        await begin_anew(dict.fromkeys(OFFSETS, "+0"))
        await oracle.more(50)
    print(await oracle.judge(first_page=60.0))
    assert oracle.world.receiver.refused == 0


def faked(offset: str) -> dict[str, str]:
    """What makes a process's wall clock wrong; the monotonic one goes on."""
    return {"LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


def turned(offset: str) -> str:
    """The offset in the other direction."""
    return offset.translate(str.maketrans("+-", "-+"))
