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


async def tocsin(gateway: str, *arguments: str) -> str:
    """What `tocsin import` says."""
    token = mint(KEY, subject="tester", scopes=["admin"])
    told = ["import", *arguments, "--gateway", gateway, "--token", token]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", *told, cwd=ROOT, env=ENVIRONMENT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_an_export_is_brought_once(stack: tuple[World, str], export: Path) -> None:
    world, gateway = stack

    async def answered(*more: str) -> Any:
        return json.loads(await tocsin(gateway, "pagerduty", str(export), "--json", *more))

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
    assert "Odd: its turns last 5400 s" in await tocsin(gateway, "pagerduty", str(export))


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//elsewhere//EN
BEGIN:VEVENT
UID:one
DTSTART:{start:%Y%m%dT%H%M%SZ}
DTEND:{end:%Y%m%dT%H%M%SZ}
SUMMARY:Ada Lovelace
END:VEVENT
BEGIN:VEVENT
UID:two
DTSTART:{start:%Y%m%dT%H%M%SZ}
DTEND:{end:%Y%m%dT%H%M%SZ}
SUMMARY:whoever
END:VEVENT
END:VCALENDAR
"""


async def test_a_calendar_is_brought_once(stack: tuple[World, str], tmp_path: Path) -> None:
    """As Grafana OnCall and GoAlert export it; what means nobody is told."""
    world, gateway = stack
    await world.people("ada")
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    file = tmp_path / "oncall.ics"
    file.write_text(CALENDAR.format(start=start, end=start + timedelta(hours=8)))
    told = ["ical", str(file), "--schedule", "default", "--person", "ada lovelace=ada"]
    plan = await tocsin(gateway, *told, "--dry-run")
    assert "! whoever: " in plan
    assert plan.endswith("1 changes planned\n")
    made = json.loads(await tocsin(gateway, *told, "--json"))
    assert [(one["outcome"], one["responder_id"]) for one in made["shifts"]] == [("CREATED", "ada")]
    assert await world.roster.resolve("oncall://default", start) == ["ada"]
    assert (await tocsin(gateway, *told)).endswith("0 changes made\n")
