"""The world of an escalation test: real services on a database and a broker of their own."""

from collections.abc import AsyncIterator

import pytest

from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.world import World


@pytest.fixture
async def stage(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """One replica of the escalation service; `stage.replica()` starts another."""
    async with World(database, broker) as made:
        yield made
