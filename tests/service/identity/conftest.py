"""An installation as a fixture."""

import gc
from collections.abc import AsyncIterator

import pytest

from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase
from tests.service.identity.world import Installation


@pytest.fixture
async def installation(database: TestDatabase, broker: Nats) -> AsyncIterator[Installation]:
    """Nothing runs yet: `await installation.start("roster", "gateway")`."""
    made = Installation(database, broker)
    yield made
    await made.aclose()
    gc.collect()  # as in tests/service/roster/conftest.py
