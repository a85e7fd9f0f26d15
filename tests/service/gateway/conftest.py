"""The gateway's stage as a fixture."""

from collections.abc import AsyncIterator

import pytest

from tests.service.gateway.stage import Stage, stage_over, standing_in


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """The gateway over services that are up."""
    async with standing_in() as services, stage_over(services) as built:
        yield built
