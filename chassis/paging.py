"""Pages of lists (AIP-158): sizes, and tokens that say after which row the next page begins."""

import base64
import json
from collections.abc import Sequence
from typing import TypeVar

from chassis.errors import Invalid

DEFAULT, MOST = 50, 1000
Row = TypeVar("Row")


def size(asked: int) -> int:
    """How many rows a page has: 50 when not asked, at most 1000.

    Raises Invalid for a negative number.
    """
    if asked < 0:
        raise Invalid.field("page_size", f"{asked} is negative; want 0 to {MOST}")
    return min(asked or DEFAULT, MOST)


def after(token: str, width: int) -> list[str] | None:
    """The key of the last row of the page before, as it was given to `page`; None for the first page.

    Raises Invalid for a token that no list of this kind has made.
    """
    if not token:
        return None
    try:
        key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError:
        key = None
    if not isinstance(key, list) or len(key) != width or not all(isinstance(part, str) for part in key):
        raise Invalid.field(
            "page_token", "is not a token of this list; want next_page_token of the page before"
        )
    return key


def page(rows: Sequence[Row], limit: int, key: Sequence[str]) -> tuple[Sequence[Row], str]:
    """Cuts `limit + 1` rows into a page and its next token; `key` belongs to the last row of the page.

    The token is empty when there is no further row.
    """
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], base64.urlsafe_b64encode(json.dumps(list(key)).encode()).decode()
