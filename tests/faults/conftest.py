"""A stack of a test's own, whose parts may be killed, and the world on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults.oracle import Oracle, sworn
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up, running
from tests.system.world import BASE, World, opened

HERE = Path(__file__).parent
SHORT = ("test_kill.py",)
"""Run by `make test`, too."""
EVERY_SERVICE = ("/oncall/responders", "/alerts", "/routes", "/sla/overview")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The faults run in one worker: two stacks at once on two cores would measure each other."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("faults"))
            if item.path.name not in SHORT:
                item.add_marker(pytest.mark.faults)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A stack for the faults of one module; each test leaves it healthy."""
    with running(tmp_path_factory.mktemp("faults") / "data", "--ephemeral") as started:
        yield started


@pytest.fixture
async def world(up: Up) -> AsyncIterator[World]:
    """The stack as this test sees it, healthy at the start, with a webhook receiver and names of its own."""
    async with opened(up.state) as mine:
        await healthy(mine)
        yield mine


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    """The processes of a stack for the faults of one module; each test leaves them well."""
    started = Victims(tmp_path_factory.mktemp("victims"))
    try:
        started.up.wait()
        yield started
    finally:
        started.up.stop()


@pytest.fixture
async def oracle(victims: Victims, tmp_path: Path) -> AsyncIterator[Oracle]:
    """What is known outside of that stack, which is healthy at the start."""
    async with opened(victims.state) as mine:
        await healthy(mine)
        yield await sworn(mine, tmp_path / "ledger.jsonl")


async def healthy(world: World) -> None:
    """Waits until every service answers."""
    for path in EVERY_SERVICE:

        async def answers(path: str = path) -> bool:
            try:
                return (await world.call("GET", BASE + path))[0] == 200
            except aiohttp.ClientError:
                return False

        await eventually(answers, timeout=60)
