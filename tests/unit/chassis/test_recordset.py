"""Rows as one JSON parameter."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import pytest

from chassis.recordset import recordset


class Colour(StrEnum):
    """An enum."""

    RED = "red"


@dataclass(frozen=True, slots=True)
class Row:
    """A row."""

    id: UUID
    at: datetime
    colour: Colour
    data: bytes
    length: timedelta
    names: tuple[str, ...]


def test_rows_are_written_as_postgres_reads_them() -> None:
    one = UUID("0190a0c8-0000-7000-8000-000000000001")
    row = Row(
        one, datetime(2026, 3, 1, 9, 0, 0, 5, UTC), Colour.RED, b"\0\xff", timedelta(minutes=5), ("ä", "b")
    )
    assert json.loads(recordset([row, {"n": 1, "none": None}])) == [
        {
            "id": str(one),
            "at": "2026-03-01T09:00:00.000005+00:00",
            "colour": "red",
            "data": "AP8=",
            "length": 300.0,
            "names": ["ä", "b"],
        },
        {"n": 1, "none": None},
    ]


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object"):
        recordset([{"at": object()}])
