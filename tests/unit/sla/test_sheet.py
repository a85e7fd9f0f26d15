"""No spreadsheet takes a cell of ours for a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.sla.domain import sheet


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("the disk is = full", "the disk is = full"),
        (-1.5, -1.5),
        (None, ""),
    ],
)
def test_formulas_are_made_texts(value: object, cell: object) -> None:
    """Numbers are numbers."""
    assert sheet.safe(value) == cell


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1, max_size=4))
def test_what_is_written_can_be_read(cells: list[str]) -> None:
    """Commas, quotes and lines within cells, too."""
    (row,) = csv.reader(io.StringIO(sheet.lines([cells]), newline=""))
    assert [cell.removeprefix("'") for cell in row] == [cell.removeprefix("'") for cell in cells]
    assert not any(cell.lstrip(" ").startswith(sheet.FORMULAS) for cell in row)
