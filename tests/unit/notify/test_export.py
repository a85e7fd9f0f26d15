"""The trail as a file: every value in its column, nothing that a spreadsheet would run."""

import csv
import io
import json
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.decision import Decision
from services.notify.domain.export import COLUMNS, FORMATS, FORMULA, csv_head, csv_lines, json_lines
from services.notify.domain.route import Receipt, RouteLog, Status
from tests.unit.notify.test_route_status import NOW, a_receipt, a_route


def read(*entries: tuple[RouteLog, list[Receipt]]) -> list[dict[str, str]]:
    text = (csv_head() + csv_lines(entries)).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_says_why_and_how_late() -> None:
    route = replace(
        a_route(Status.SENT),
        decision=Decision.FAILED_OVER,
        delay=timedelta(minutes=5),
        sent_at=NOW + timedelta(seconds=1.5),
    )
    (line,) = read((route, [a_receipt(Status.READ)]))
    assert (line["decision"], line["delay_seconds"], line["sent_after_seconds"]) == (
        "FAILED_OVER",
        "300.0",
        "1.5",
    )
    assert line["receipts"] == "READ 2026-01-01T00:00:00+00:00 what happened"
    assert line["created_at"] == "2026-01-01T00:00:00Z"
    assert line["read_at"] == ""


def test_both_formats_have_the_same_fields() -> None:
    (line,) = json_lines([(a_route(), [])]).decode().splitlines()
    assert tuple(json.loads(line)) == COLUMNS
    assert set(FORMATS) == {"csv", "jsonl"}


@given(st.text(st.characters(exclude_categories=["Cs"])), st.sampled_from(["", *FORMULA]))
def test_no_cell_is_a_formula_and_no_text_breaks_a_line(text: str, first: str) -> None:
    route = replace(a_route(), last_error=first + text, address=first + text)
    (line,) = read((route, [replace(a_receipt(Status.READ), detail=first + text)]))
    assert line["last_error"].removeprefix("'") == (first + text).removeprefix("'")
    assert not any(cell.startswith(FORMULA) for cell in line.values())
    (as_json,) = json_lines([(route, [])]).decode().rstrip("\n").split("\n")
    assert json.loads(as_json)["last_error"] == first + text
