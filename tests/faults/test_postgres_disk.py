"""Postgres without a byte of disk: 503 and nothing lost, and well again when there is room (FAULTS 28)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import disks
from tests.faults.oracle import Oracle
from tests.faults.victims import Victims, breakable
from tests.fixtures.eventually import eventually

BACK, BUSY = 5.0, 3.0
"""Seconds until the rate is back, and by which a busy machine may stretch that: Postgres may have to start again."""


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Victims]:
    """A stack whose Postgres has a small disk."""
    with disks.small(tmp_path / "data" / "postgres", megabytes=512), breakable(tmp_path) as started:
        yield started


@pytest.mark.timeout(300)
async def test_row_28_a_full_disk_of_postgres(victims: Victims, oracle: Oracle) -> None:
    """Load until nothing is accepted any more, ten seconds of that, then room."""
    async with oracle.load(rate=200):
        await oracle.more(200)
        with disks.filled(victims.up.data_dir / "postgres"):
            await eventually(lambda: oracle.refusals[503] > 200, timeout=120)
            ends = time.monotonic() + 10
            await eventually(lambda: time.monotonic() > ends, timeout=20)
            accepted = len(oracle.promised)
            room_at = time.monotonic()
        await oracle.more(20)
        took = min(at for at in oracle.accepted_at.values() if at > room_at) - room_at
        oracle.rate = 30
        await oracle.more(60)
    print(f"{accepted} alerts before, back after {took:.1f} s", await oracle.judge(first_page=60.0))
    assert took < BACK * BUSY
