"""The world of an SLA test: a real service on a database and a broker of its own."""

from collections.abc import AsyncIterator

import pytest

from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase
from tests.service.sla.world import World, world_of


@pytest.fixture
async def world(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """One replica of the SLA service; `world.replica()` starts another."""
    async with world_of(database, broker) as made:
        yield made
