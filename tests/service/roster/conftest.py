"""The world of a roster test: real services on a database and a broker of their own."""

import gc
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
    # A connection that was being opened when its loop ended stays half open until it is collected, and the server
    # would wait a minute for its password before it drops the database.
    gc.collect()
