"""A few seconds of what `make fuzz` does for ten minutes."""

import asyncio

from tests.fuzz.campaign import QUICK, SEED, campaign
from tests.system.world import World


async def test_answers_are_as_the_document_says(world: World) -> None:
    """Statuses, content types and bodies are documented, nothing is a server error, and no token means no entry."""
    found = await asyncio.to_thread(campaign, world.stack, seconds=8, examples=1, phases=QUICK, seed=SEED)
    assert [one for one in found if not one.announced] == []
