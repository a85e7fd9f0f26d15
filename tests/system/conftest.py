"""Fixtures of the system tests: `stack`, shared by all of them, and `world`, each test's own corner of it."""

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import stack as stacks
from tests.system.world import World, opened

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist makes groups of the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All system tests run in one worker, so that they share one stack."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.xdist_group("system"))


@pytest.fixture(scope="package")
def stack() -> Iterator[Mapping[str, Any]]:
    """The content of stack.json and its `path`: of the stack that TOCSIN_STACK names, else of one for these tests."""
    named = stacks.named()
    if named is not None:
        yield named
        return
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-system-") as directory,
        stacks.running(Path(directory) / "data", "--ephemeral") as up,
    ):
        yield up.state


@pytest.fixture
async def world(stack: Mapping[str, Any]) -> AsyncIterator[World]:
    """The stack as this test sees it, with a webhook receiver and names of its own."""
    async with opened(stack) as mine:
        yield mine
