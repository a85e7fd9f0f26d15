"""Pages of one team at a steady rate, alone and while another team's storm of 10,000 goes out by the same process."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from tests.bench.deliver import ENVIRONMENT, Notify, told
from tests.bench.process import alone
from tests.bench.receiver import receiving

STORM, ROUNDS = 10_000, 3
STORMED, STEADY = 10, 50
"""People of the team with the storm, and of the other one."""
SECONDS = 8


@dataclass(frozen=True, slots=True)
class Round:
    """Milliseconds from acceptance to the bytes for the steady team, in order: alone and during the storm; how long that took."""

    alone: Sequence[float]
    stormy: Sequence[float]
    lasted: float

    @property
    def ratio(self) -> float:
        """By how much the 99th percentile is longer in the storm."""
        return p99(self.stormy) / p99(self.alone)


def p99(waits: Sequence[float]) -> float:
    """The 99th percentile of sorted values."""
    return waits[int(len(waits) * 0.99)]


def measure(notify: Notify, number: int, storm: int = STORM, seconds: float = SECONDS) -> Round:
    """One round: the steady team alone, then with the storm, which is accepted as fast as it is."""
    steady, stormed = f"/steady{number}", f"/storm{number}"
    names = asyncio.run(notify.people(f"steady{number}", STEADY, steady))
    others = asyncio.run(notify.people(f"stormed{number}", STORMED, stormed))
    accepted = uvloop.run(notify.page_at_rate(names, seconds))
    calm = notify.waits(accepted, steady)

    async def both() -> dict[str, float]:
        storming = asyncio.create_task(notify.page_together(others, storm))
        found = await notify.page_at_rate(names, seconds)
        await storming
        return found

    began = time.monotonic()
    accepted = uvloop.run(both())
    lasted = notify.arrived(storm, stormed)[-1] - began
    return Round(calm, notify.waits(accepted, steady), lasted)


def main() -> None:
    """Both distributions of each round, and the median of the ratios."""
    with receiving() as receiver, alone("notify", **ENVIRONMENT) as (address, token, url):
        notify = Notify(address, token, url, receiver)
        rounds = [measure(notify, number) for number in range(ROUNDS)]
    for one in rounds:
        print(f"alone {told(one.alone)}; with a storm that lasted {one.lasted:.1f} s {told(one.stormy)}")
    print(f"p99 in the storm: {statistics.median(one.ratio for one in rounds):.1f} times that without")


if __name__ == "__main__":
    main()
