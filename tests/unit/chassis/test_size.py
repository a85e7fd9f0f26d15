"""The chassis stays small (ADR 8)."""

import ast
from collections.abc import Iterator
from pathlib import Path

CHASSIS = Path(__file__).parents[3] / "chassis"
MOST = 2_350


def docstrings(tree: ast.Module) -> Iterator[int]:
    """The lines that strings standing alone take."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            yield from range(node.lineno, (node.end_lineno or node.lineno) + 1)


def code_lines(source: str) -> int:
    """Lines without blanks, comments and docstrings."""
    told = set(docstrings(ast.parse(source)))
    lines = enumerate(source.splitlines(), 1)
    return sum(1 for number, line in lines if line.strip() and line.strip()[0] != "#" and number not in told)


def test_it_has_no_more_than_2350_lines_of_code() -> None:
    """Mechanism only, and no more of it than all services need."""
    assert sum(code_lines(path.read_text()) for path in CHASSIS.glob("*.py")) <= MOST
