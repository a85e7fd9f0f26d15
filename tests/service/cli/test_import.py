"""`tocsin import` brings a schedule into a stack once, shows first what it would do, and says what it left out."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.auth import mint
from cli.stack.nats import Nats
from services.gateway.main import Config, build
from tests.fixtures.postgres import TestDatabase
from tests.service.roster.world import KEY, World

ROOT = Path(__file__).parents[3]
EXPORT = ROOT / "tests" / "data" / "imports" / "pagerduty.json"
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}"}
SCHEDULE = "daily-engineering-rotation"


@pytest.fixture
async def stack(database: TestDatabase, broker: Nats) -> AsyncIterator[tuple[World, str]]:
    """A roster behind a gateway."""
    async with World(database, broker) as world:
        address = world.roster.address
        config = Config(
            token_key=KEY,
            roster_address=address,
            escalation_address=address,
            notify_address=address,
            sla_address=address,
        )
        async with build(config) as gateway:
            yield world, f"http://{gateway.address}"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export whose override lies ahead."""
    document = json.loads(EXPORT.read_text())
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    entry = document["schedule"]["overrides_subschedule"]["rendered_schedule_entries"][0]
    entry["start"], entry["end"] = start.isoformat(), (start + timedelta(hours=8)).isoformat()
    (tmp_path / "export.json").write_text(json.dumps(document))
    return tmp_path / "export.json"


async def test_an_export_is_brought_once(stack: tuple[World, str], export: Path) -> None:
    world, gateway = stack
    token = mint(KEY, subject="tester", scopes=["admin"])

    async def tocsin(*more: str) -> str:
        arguments = ["import", "pagerduty", str(export), "--gateway", gateway, "--token", token, *more]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "cli", *arguments, cwd=ROOT, env=ENVIRONMENT, stdout=PIPE, stderr=PIPE
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def answered(*more: str) -> Any:
        return json.loads(await tocsin("--json", *more))

    shown = await answered("--dry-run")
    assert {one["id"] for one in shown["plan"]} == {SCHEDULE, "earline-greenholt", "leo-von", "zoe-o-neil"}
    assert shown["done"] == []
    assert len(shown["left_out"]) == 4
    made = await answered()
    assert len(made["done"]) == len(shown["plan"]) + 1
    [shift] = made["shifts"]
    start = datetime.fromisoformat(shift["starts_at"])
    assert await world.roster.resolve(f"oncall://{SCHEDULE}", start) == ["leo-von"]
    again = await answered()
    assert again["plan"] == []
    assert len(again["done"]) == 1  # the shift that is there
    assert "Odd: its turns last 5400 s" in await tocsin()
