"""The broker silent, killed, or out of disk: pages go on, and when it is well every event arrives (FAULTS 12, 16, 17)."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import disks
from tests.faults.heard import expect_every_version
from tests.faults.oracle import Oracle, beside
from tests.faults.victims import Victims, breakable
from tests.fixtures.eventually import eventually

pytestmark = pytest.mark.timeout(300)
AWAY = 30.0
BACK = 5.0
BUSY = 3.0
WAITING = "tocsin_oldest_waiting_seconds"
PUBLISHED = (
    "select count(*) = 0 from escalation.outbox where published_at is null and at < now() - interval '1 s'"
)


async def test_row_17_pages_go_on_while_the_broker_is_silent(victims: Victims, oracle: Oracle) -> None:
    """Stopped, not killed: connections stay open and nobody answers, the worse of the two."""
    async with oracle.load(rate=20):
        await oracle.more(40)
        with victims.stopped("nats"):
            ends = time.monotonic() + AWAY
            while time.monotonic() < ends:
                await oracle.more(20)
            assert oracle.refusals.total() == 0
        began = time.monotonic()
        await eventually(lambda: published(victims), timeout=40)
        took = time.monotonic() - began
    verdict = await oracle.judge(first_page=5 * BUSY)
    print(f"published {took:.1f} s after the broker's return", verdict)
    want = {one: int((await oracle.world.alert(one))["version"]) for one in list(oracle.promised)[:300]}
    await expect_every_version(victims.state["nats"], want)


async def test_row_12_the_broker_killed_five_times(victims: Victims, oracle: Oracle) -> None:
    """Events flow again within 5 s of each kill."""
    took = []
    async with oracle.load(rate=20):
        for _ in range(5):
            await oracle.more(40)
            began = time.monotonic()
            victims.kill("nats")
            await oracle.more(10)
            await eventually(lambda: published(victims), timeout=40)
            took.append(time.monotonic() - began)
        await oracle.more(10)
    verdict = await oracle.judge(first_page=5 * BUSY)
    print([f"{one:.1f} s" for one in took], verdict)
    assert max(took) < BACK * BUSY
    want = {one: int((await oracle.world.alert(one))["version"]) for one in oracle.promised}
    await expect_every_version(victims.state["nats"], want)


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Victims]:
    """A stack whose broker has a small disk."""
    with disks.small(tmp_path / "data" / "nats", megabytes=48), breakable(tmp_path) as started:
        yield started


async def test_row_16_a_full_disk_of_the_broker(cramped: Victims, tmp_path: Path) -> None:
    """The outbox holds and says so, pages go on; once there is room the stack restarts the broker by itself."""
    async with beside(cramped, tmp_path) as oracle:
        before = cramped.pid("nats")
        async with oracle.load(rate=20):
            await oracle.more(40)
            with disks.filled(cramped.up.data_dir / "nats"):
                full_at = time.monotonic()

                async def shown() -> bool:
                    return await cramped.metric("escalation", WAITING, what="unpublished_event") > 15

                await eventually(shown, timeout=90)
                seen = time.monotonic() - full_at
                assert "does not store" in cramped.up.said()
            room_at = time.monotonic()
            await eventually(lambda: published(cramped), timeout=60)
            healed = time.monotonic() - room_at
        verdict = await oracle.judge(first_page=5 * BUSY)
        print(f"waited for 15 s, as metrics said {seen:.1f} s after; published {healed:.1f} s after", verdict)
        assert oracle.refusals.total() == 0
        assert cramped.pid("nats") != before


async def published(victims: Victims) -> bool:
    """Whether the broker has everything that is more than a second old."""
    return bool(await victims.ask(PUBLISHED))
