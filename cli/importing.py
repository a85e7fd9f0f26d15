"""`tocsin import`: schedules from other tools' exports, and shifts from calendars."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from cli.api import Api, Json, Refused, escaped
from cli.completing import SCHEDULES
from cli.declared.kinds import KINDS
from cli.declared.plan import Change, Step, plan
from cli.imports import opsgenie, pagerduty
from cli.imports.brought import Brought, NoExport
from cli.labels import pairs
from cli.moments import shown
from cli.operating import Operator, operates
from cli.output import table
from cli.reading import Unreadable, text_of

TAKEN = "ALREADY_EXISTS"


class Tool(StrEnum):
    """Where an export comes from."""

    PAGERDUTY = "pagerduty"
    OPSGENIE = "opsgenie"
    ICAL = "ical"


READERS: Mapping[Tool, Callable[[Any, datetime], Brought]] = {
    Tool.PAGERDUTY: pagerduty.bring,
    Tool.OPSGENIE: opsgenie.bring,
}


@operates(
    "tocsin import pagerduty schedules.json --dry-run",
    "tocsin import opsgenie schedules.json",
    "tocsin import ical oncall.ics --schedule web --person ada@example.org=ada",
)
def import_(
    operator: Operator,
    tool: Annotated[Tool, typer.Argument(help="Where the export comes from.")],
    file: Annotated[
        Path, typer.Argument(help="The export, JSON or a calendar; - is standard input.", allow_dash=True)
    ],
    schedule: Annotated[
        str, typer.Option(help="ical: the schedule whose shifts they become.", autocompletion=SCHEDULES)
    ] = "",
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WORDS=RESPONDER", help="ical: who is meant by a mail address, name or summary."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
) -> None:
    """Bring schedules, their people and their overrides from a PagerDuty or Opsgenie export, or shifts from a calendar.

    A calendar (iCalendar, .ics) is what Grafana OnCall, GoAlert and most others export. People who are there already
    stay as they are. Doing it twice changes nothing the second time.
    """
    if tool is Tool.ICAL:
        people = pairs(person or [], "--person")
        _calendar(operator, _text(file), schedule, people, dry_run=dry_run)
        return
    if schedule or person:
        raise typer.BadParameter("is for a calendar", param_hint="--schedule" if schedule else "--person")
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


def _calendar(operator: Operator, text: str, schedule: str, people: dict[str, str], *, dry_run: bool) -> None:
    """Has roster read the calendar, and shows what became of each event."""
    if not schedule:
        raise typer.BadParameter("say whose shifts a calendar holds", param_hint="--schedule")
    body = {"calendar": text, "responders": people, "dry_run": dry_run}
    found = operator.api.post(f"/oncall/schedules/{escaped(schedule)}:import-calendar", body)
    rows = (
        (one["outcome"], one["responder_id"], shown(one["starts_at"]), shown(one["ends_at"]))
        for one in found["shifts"]
    )
    changes = sum(one["outcome"] != "UNCHANGED" for one in found["shifts"])
    operator.out.show(
        found,
        *([table(("shift", "of", "from", "until"), rows)] if found["shifts"] else []),
        *(f"! {one['summary'] or one['uid']}: {one['reason']}" for one in found["skipped"]),
        f"{changes} changes {'planned' if dry_run else 'made'}",
    )


def _text(file: Path) -> str:
    try:
        return text_of(file)
    except Unreadable as error:
        raise typer.BadParameter(str(error), param_hint="FILE") from None


def _read(tool: Tool, file: Path, now: datetime) -> Brought:
    text = _text(file)
    try:
        return READERS[tool](json.loads(text), now)
    except (json.JSONDecodeError, NoExport) as error:
        raise typer.BadParameter(
            f"{file}: is no export of {tool.value}: {error}", param_hint="FILE"
        ) from None
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
