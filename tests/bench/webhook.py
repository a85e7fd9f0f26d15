"""From the trigger to the signed webhook at the receiver, through the whole stack, at 20 alerts a second."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from tests.fixtures.stack import running
from tests.system.world import opened

RATE, SECONDS = 20, 30


async def measure(state: dict[str, object]) -> list[float]:
    """Milliseconds from the call of TriggerAlert over HTTP to the webhook's arrival, in order."""
    async with opened(state) as world:
        ada = await world.responder("ada")
        policy = await world.policy((f"responder://{ada}", 600))
        sent: dict[str, float] = {}

        async def trigger(number: int) -> None:
            title = f"alert {number}"
            sent[title] = time.monotonic()
            await world.trigger(title, policy_id=policy)

        tasks = []
        began = time.monotonic()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            tasks.append(asyncio.create_task(trigger(number)))
        await asyncio.gather(*tasks)
        pages = await world.receiver.until(len(tasks), 10)
        assert len(pages) == len(tasks), f"{len(tasks) - len(pages)} pages did not come"
        return sorted((page.at - sent[page.data["alert"]["title"]]) * 1e3 for page in pages)


def main() -> None:
    """The median and the 99th percentile."""
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory,
        running(Path(directory) / "data", "--ephemeral") as up,
    ):
        took = uvloop.run(measure(up.state))
    p99 = took[int(len(took) * 0.99)]
    print(
        f"trigger over HTTP to signed webhook, {RATE}/s: p50 {statistics.median(took):.1f} ms, p99 {p99:.1f} ms"
    )


if __name__ == "__main__":
    main()
