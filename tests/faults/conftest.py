"""A stack of a test's own, whose parts may be killed, and the world on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.eventually import eventually
from tests.fixtures.stack import Up, running
from tests.system.world import BASE, World, opened

HERE = Path(__file__).parent
EVERY_SERVICE = ("/oncall/responders", "/alerts", "/routes", "/sla/overview")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The faults run in one worker: two stacks at once on two cores would measure each other."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("faults"))


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A stack for the faults of one module; each test leaves it healthy."""
    with running(tmp_path_factory.mktemp("faults") / "data", "--ephemeral") as started:
        yield started


@pytest.fixture
async def world(up: Up) -> AsyncIterator[World]:
    """The stack as this test sees it, healthy at the start, with a webhook receiver and names of its own."""
    async with opened(up.state) as mine:
        for path in EVERY_SERVICE:

            async def answers(path: str = path) -> bool:
                try:
                    return (await mine.call("GET", BASE + path))[0] == 200
                except aiohttp.ClientError:
                    return False

            await eventually(answers, timeout=30)
        yield mine
