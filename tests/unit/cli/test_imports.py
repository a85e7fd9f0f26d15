"""Exports of PagerDuty and Opsgenie put the same people on call at the same hours here, and say what does not fit."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from typer.testing import CliRunner

from chassis.errors import Problems
from cli.imports import opsgenie, pagerduty
from cli.imports.brought import Brought, NoExport, Window, free, restrictions, slug
from cli.main import app
from services.roster.convert import schedules
from services.roster.domain.coverage import Plan, cover, segments
from services.roster.domain.interval import Interval
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DATA = Path(__file__).parents[2] / "data" / "imports"
HOUR = timedelta(hours=1)


def document(name: str) -> Any:
    """A sample of an export."""
    return json.loads((DATA / name).read_text())


def on_call(brought: Brought, schedule_id: str, start: str, hours: int) -> list[tuple[str, str, str]]:
    """Who is on call on an imported schedule, as our service reckons it, in the schedule's zone."""
    schedule = ParseDict(brought.schedules[schedule_id], schedule_pb2.Schedule())
    problems = Problems()
    made = schedules.new(schedule_service_pb2.CreateScheduleRequest(schedule=schedule), NOW, problems)
    problems.check()
    begin = datetime.fromisoformat(start).replace(tzinfo=made.zone).astimezone(UTC)
    shown = segments(cover(Plan(made), Interval(begin, begin + hours * HOUR)))
    return [
        (
            s.responder_id,
            f"{s.starts_at.astimezone(made.zone):%a %H:%M}",
            f"{s.ends_at.astimezone(made.zone):%a %H:%M}",
        )
        for s in shown
    ]


def test_a_schedule_of_pagerduty() -> None:
    brought = pagerduty.bring(document("pagerduty.json"), NOW)
    assert [*brought.schedules] == ["daily-engineering-rotation"]
    assert brought.responders["earline-greenholt"] == {
        "responder_id": "earline-greenholt",
        "display_name": "Earline Greenholt",
        "time_zone": "America/Lima",
    }
    [schedule] = brought.schedules.values()
    assert [layer["name"] for layer in schedule["layers"]] == ["Base", "Nights", "Weekend"]
    assert on_call(brought, "daily-engineering-rotation", "2026-03-05T12:00", 96) == [
        ("earline-greenholt", "Thu 12:00", "Thu 20:00"),
        ("leo-von", "Thu 20:00", "Fri 08:00"),
        ("earline-greenholt", "Fri 08:00", "Fri 17:00"),
        ("zoe-o-neil", "Fri 17:00", "Mon 08:00"),
        ("leo-von", "Mon 08:00", "Mon 13:00"),
    ]


def test_overrides_of_pagerduty_become_shifts() -> None:
    brought = pagerduty.bring(document("pagerduty.json"), NOW)
    assert brought.shifts == [
        {
            "schedule_id": "daily-engineering-rotation",
            "responder_id": "leo-von",
            "starts_at": "2026-03-03T15:00:00Z",
            "ends_at": "2026-03-03T23:00:00Z",
            "request_id": "pagerduty:PI7DH85:PQ47DCP",
        }
    ]


def test_what_pagerduty_has_and_we_have_not_is_said() -> None:
    left_out = pagerduty.bring(document("pagerduty.json"), NOW).left_out
    for part in (
        "Odd: its turns last 5400 s",
        "Past: it ended at",
        "Nights: it ends at",
        "escalation policy 'Another Escalation Policy'",
        "target oncall://daily-engineering-rotation",
    ):
        assert any(part in one for one in left_out), part
    assert len(left_out) == 4


def test_a_schedule_of_opsgenie() -> None:
    brought = opsgenie.bring(document("opsgenie.json"), NOW)
    assert [*brought.schedules] == ["ops-team-schedule", "ops-team-schedule-second-line"]
    assert on_call(brought, "ops-team-schedule", "2026-03-02T06:00", 48) == [
        ("cyd", "Mon 06:00", "Mon 08:00"),
        ("ada", "Mon 08:00", "Mon 20:00"),
        ("cyd", "Mon 20:00", "Tue 08:00"),
        ("ada", "Tue 08:00", "Tue 20:00"),
        ("cyd", "Tue 20:00", "Wed 06:00"),
    ]
    assert on_call(brought, "ops-team-schedule", "2026-03-06T12:00", 70) == [
        ("ada", "Fri 12:00", "Fri 20:00"),
        ("cyd", "Fri 20:00", "Mon 08:00"),
        ("bob-marley", "Mon 08:00", "Mon 10:00"),
    ]
    assert on_call(brought, "ops-team-schedule-second-line", "2026-03-02T00:00", 30) == [
        ("bob-marley", "Mon 00:00", "Mon 12:00"),
        ("ada", "Tue 00:00", "Tue 06:00"),
    ]


def test_overrides_and_what_is_left_out_of_opsgenie() -> None:
    brought = opsgenie.bring(document("opsgenie.json"), NOW)
    assert [(s["schedule_id"], s["responder_id"], s["starts_at"]) for s in brought.shifts] == [
        ("ops-team-schedule", "bob-marley", "2026-03-10T10:00:00Z")
    ]
    for part in ("are on call beside others", "the team 'database' takes turns", "Old: it ended at"):
        assert any(part in one for one in brought.left_out), part


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (Window(9 * 60, 8 * 60), [(["MON"], "09:00", "17:00")]),
        (Window(6 * 1440 + 1200, 12 * 60), [(["SUN"], "20:00", "08:00")]),
        (Window(4 * 1440 + 1020, 63 * 60), [(["SUN"], "17:00", "08:00"), (["FRI", "SAT"], "17:00", "17:00")]),
        (Window(0, 7 * 1440), [(None, "00:00", "00:00")]),
    ],
)
def test_windows_of_the_week_become_restrictions(window: Window, expected: list[Any]) -> None:
    found = [(one.get("weekdays"), one["start_time"], one["end_time"]) for one in restrictions([window])]
    assert found == expected


def test_ids_are_made_of_names() -> None:
    assert slug("Zoë  O'Neil ", "x") == "zoe-o-neil"
    assert slug("東京", "responder") == "responder"
    assert len(slug("a" * 80, "x")) == 63
    assert free("ada", ["ada", "ada-2"]) == "ada-3"
    assert len(free("a" * 63, ["a" * 63])) == 63
    brought = Brought()
    assert [brought.responder(key, "Ada") for key in ("P1", "P2", "P1")] == ["ada", "ada-2", "ada"]


@pytest.mark.parametrize("wrong", [{}, [], "x", 5, None, {"schedules": []}, {"data": {"id": "x"}}])
def test_what_is_no_export(wrong: object) -> None:
    for read in (pagerduty.bring, opsgenie.bring):
        with pytest.raises(NoExport):
            read(wrong, NOW)


@pytest.mark.parametrize(
    "text", ["no json", "{}", '{"schedule_layers": [{"start": "soon"}], "time_zone": "UTC"}']
)
def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    done = CliRunner().invoke(
        app, ["import", "pagerduty", str(tmp_path / "x.json"), "--gateway", "x", "--token", "y"]
    )
    assert done.exit_code == 2
    assert "x.json" in re.sub(r"[\s│]", "", done.output)  # as the box of the error breaks its lines
