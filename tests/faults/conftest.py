"""A stack of a test's own, whose parts may be killed, and the world on it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.oracle import Oracle, beside, well
from tests.faults.victims import Victims, breakable
from tests.fixtures.stack import Up, running
from tests.system.world import World, opened

HERE = Path(__file__).parent
SHORT = ("test_kill.py",)
"""Run by `make test`, too."""


@pytest.hookimpl(tryfirst=True)  # before xdist makes groups of the marks
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
        await well(mine)
        yield mine


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victims]:
    """The processes of a stack for the faults of one module; each test leaves them well."""
    with breakable(tmp_path_factory.mktemp("victims")) as started:
        yield started


@pytest.fixture
async def oracle(victims: Victims, tmp_path: Path) -> AsyncIterator[Oracle]:
    """What is known outside of that stack, which is healthy at the start."""
    async with beside(victims, tmp_path) as sworn:
        yield sworn
