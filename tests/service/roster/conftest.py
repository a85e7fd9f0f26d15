"""The world of a roster test: real services on a database and a broker of their own."""

from collections.abc import AsyncIterator

import pytest

from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase
from tests.service.roster.world import World


@pytest.fixture
async def world(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """One replica of the roster service; `world.replica()` starts another."""
    async with World(database, broker) as made:
        yield made
