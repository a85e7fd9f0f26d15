"""The world of an escalation test: real services on a database and a broker of their own."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from cli.stack.nats import Nats
from tests.fixtures.eventually import PATIENCE
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.world import World


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A roster that answers is not taken to be away because the machine is busy."""
    wait_for_roster(monkeypatch, together=PATIENCE / 4, each=PATIENCE / 2)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roster is waited for as in production: for tests in which it does not answer."""
    wait_for_roster(monkeypatch, together=0.25, each=1)


def wait_for_roster(monkeypatch: pytest.MonkeyPatch, *, together: float, each: float) -> None:
    """How many seconds a batch waits for roster, and then each policy."""
    monkeypatch.setattr("services.escalation.steps.PATIENCE", timedelta(seconds=together))
    for name in ("coverage.DEADLINE", "clients.ROSTER_DEADLINE"):
        monkeypatch.setattr(f"services.escalation.{name}", timedelta(seconds=each))


@pytest.fixture
async def stage(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """One replica of the escalation service; `stage.replica()` starts another."""
    async with World(database, broker) as made:
        yield made
