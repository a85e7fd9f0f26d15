"""`tocsin import`: schedules from other tools' exports."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from cli.api import Api, Json, Refused, escaped
from cli.declared.kinds import KINDS
from cli.declared.plan import Change, Step, plan
from cli.imports import opsgenie, pagerduty
from cli.imports.brought import Brought, NoExport
from cli.operating import Operator, operates
from cli.output import table

TAKEN = "ALREADY_EXISTS"


class Tool(StrEnum):
    """Where an export comes from."""

    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"


READERS: dict[Tool, Callable[[Any, datetime], Brought]] = {
    Tool.PAGERDUTY: pagerduty.bring,
    Tool.OPSGENIE: opsgenie.bring,
}


@operates(
    "tocsin import pagerduty schedules.json --dry-run",
    "tocsin import opsgenie schedules.json",
)
def import_(
    operator: Operator,
    tool: Annotated[Tool, typer.Argument(help="Where the export comes from.")],
    file: Annotated[Path, typer.Argument(help="The export as JSON; - is standard input.", allow_dash=True)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
) -> None:
    """Bring schedules, their people and their overrides from a PagerDuty or Opsgenie export.

    People who are there already stay as they are. Doing it twice changes nothing the second time.
    """
    brought = _read(tool, file, operator.now)
    steps = _steps(operator.api, brought)
    left_out = [*brought.left_out]
    done: list[Json] = []
    if not dry_run:
        done = [_do(operator.api, step) for step in steps]
        done += [made for shift in brought.shifts if (made := _make(operator.api, shift, left_out))]
    answer = {
        "plan": [step.json() for step in steps],
        "shifts": brought.shifts,
        "done": done,
        "left_out": left_out,
    }
    shifts = (
        (one["schedule_id"], one["responder_id"], one["starts_at"], one["ends_at"]) for one in brought.shifts
    )
    operator.out.show(
        answer,
        *map(str, steps),
        *([table(("schedule", "shift of", "from", "until"), shifts)] if brought.shifts else []),
        *(f"! {one}" for one in left_out),
        summary(steps, brought, done, dry_run=dry_run),
    )


def summary(steps: list[Step], brought: Brought, done: list[Json], *, dry_run: bool) -> str:
    """What was done, in the last line."""
    planned = len(steps) + len(brought.shifts)
    return f"{planned} changes planned" if dry_run else f"{len(done)} of {planned} changes made"


def _read(tool: Tool, file: Path, now: datetime) -> Brought:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        return READERS[tool](json.loads(text), now)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, NoExport) as error:
        raise typer.BadParameter(f"{file}: {error}", param_hint="FILE") from None
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise typer.BadParameter(
            f"{file}: is no export of {tool.value}: {type(error).__name__}: {error}", param_hint="FILE"
        ) from None


def _steps(api: Api, brought: Brought) -> list[Step]:
    """What to create and change; people who are there stay as they are."""
    wanted = {"responders": [*brought.responders.values()], "schedules": [*brought.schedules.values()]}
    there = {
        kind.section: [*api.each(kind.path, kind.section)] if kind.section in wanted else [] for kind in KINDS
    }
    return [
        step
        for step in plan(there, wanted)
        if step.change is Change.CREATE or step.kind.section == "schedules"
    ]


def _do(api: Api, step: Step) -> Json:
    try:
        if step.change is Change.CREATE:
            api.post(step.kind.path, step.wanted)
        else:
            changed = {name: step.wanted[name] for name in step.fields if name in step.wanted}
            api.patch(f"{step.kind.path}/{escaped(step.name)}", changed, [*step.fields])
    except Refused as error:
        raise Refused({**error.error, "message": f"{step.kind.one} {step.name}: {error}"}) from None
    return step.json()


def _make(api: Api, shift: Json, left_out: list[str]) -> Json | None:
    """Makes a shift, or finds the one that an earlier import made; notes one that overlaps another."""
    body = {name: value for name, value in shift.items() if name != "request_id"}
    try:
        return api.post(f"/oncall/shifts?{urlencode({'request_id': shift['request_id']})}", body)
    except Refused as error:
        if error.status != TAKEN:
            raise
        left_out.append(f"{shift['schedule_id']}: {error}")
        return None
