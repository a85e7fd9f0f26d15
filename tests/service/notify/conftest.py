"""Notify and its surroundings as fixtures."""

from collections.abc import AsyncIterator

import pytest

from cli.stack.nats import Nats
from tests.fixtures.postgres import TestDatabase
from tests.service.notify.receivers import Receiver, receiving
from tests.service.notify.world import World, world_on


@pytest.fixture
async def world(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """One notify on a database and a broker of its own."""
    async with world_on(database, broker) as built:
        yield built


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A webhook receiver that answers 200."""
    async with receiving() as built:
        yield built
