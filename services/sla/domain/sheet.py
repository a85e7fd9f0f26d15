"""Rows as comma-separated values that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterable, Sequence

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""With what a formula, or something that a spreadsheet makes one, can begin."""


def lines(rows: Iterable[Sequence[object]]) -> str:
    """The rows as lines (RFC 4180); None is empty, and texts that look like formulas begin with an apostrophe."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows([safe(value) for value in row] for row in rows)
    return written.getvalue()


def safe(value: object) -> object:
    """A cell; numbers stay what they are, negative ones too."""
    if isinstance(value, str) and value.lstrip(" ").startswith(FORMULAS):
        return f"'{value}"
    return "" if value is None else value
