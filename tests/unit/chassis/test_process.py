"""A service stops, whatever its loops do with a cancellation."""

import asyncio

from chassis import process
from tests.fixtures.eventually import PATIENCE


async def test_a_loop_that_swallows_a_cancellation_is_cancelled_again() -> None:
    """As asyncio.wait_for does on Python 3.11 when its awaitable is done at the same moment."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed:
                    raise
                swallowed += 1

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(process._stop([task]), timeout=PATIENCE)
    assert task.cancelled()
    assert swallowed == 1
