"""The gateway's stage as a fixture."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.eventually import eventually
from tests.service.gateway.stage import Stage, stage_over, standing_in


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The gateway over services that are up, once it says that it has found them."""
    async with standing_in() as services, stage_over(services) as built:

        async def serving() -> bool:
            return (await built.call("GET", "/healthz", token=None)).status == 200

        await eventually(serving)
        yield built
