"""Pages of lists (AIP-158): sizes, and tokens that say after which row the next page begins."""

import base64
import hashlib
import json
from collections.abc import Sequence
from contextvars import ContextVar
from typing import TypeVar

from google.protobuf.message import Message

from chassis.errors import Invalid

DEFAULT, MOST = 50, 1000
PAGING = ("page_size", "page_token")
"""What may differ between two pages of one list."""
Row = TypeVar("Row")

_asked: ContextVar[tuple[str, Message] | None] = ContextVar("asked", default=None)


def enter(method: str, request: Message) -> None:
    """Says which list is asked for in the rest of this task, so that its tokens serve that list alone."""
    _asked.set((method, request))


def size(asked: int) -> int:
    """How many rows a page has: 50 when not asked, at most 1000.

    Raises Invalid for a negative number.
    """
    if asked < 0:
        raise Invalid.field("page_size", f"{asked} is negative; want 0 to {MOST}")
    return min(asked or DEFAULT, MOST)


def after(token: str, width: int) -> list[str] | None:
    """The key of the last row of the page before, as it was given to `page`; None for the first page.

    Raises Invalid for a token that this list, with these filters, has not made.
    """
    if not token:
        return None
    try:
        mark, *key = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        mark, key = None, []
    if mark != _mark() or len(key) != width or not all(isinstance(part, str) for part in key):
        raise Invalid.field(
            "page_token",
            "is not a token of this list and its filters; want next_page_token of the page before",
        )
    return list(key)


def page(rows: Sequence[Row], limit: int, key: Sequence[str]) -> tuple[Sequence[Row], str]:
    """Cuts `limit + 1` rows into a page and its next token; `key` belongs to the last row of the page.

    The token is empty when there is no further row.
    """
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], base64.urlsafe_b64encode(json.dumps([_mark(), *key]).encode()).decode()


def _mark() -> str:
    """Tells lists apart: a digest of the method and of the request without what may differ between pages."""
    asked = _asked.get()
    if asked is None:
        return ""
    method, request = asked
    filters = type(request)()
    filters.CopyFrom(request)
    for name in PAGING:
        if name in filters.DESCRIPTOR.fields_by_name:
            filters.ClearField(name)
    told = method.encode() + filters.SerializeToString(deterministic=True)
    return hashlib.blake2s(told, digest_size=6).hexdigest()
