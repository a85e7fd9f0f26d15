"""The trail as a file: one line for each route log, for people and their spreadsheets (CSV) or programs (JSON lines)."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from services.notify.domain.route import Receipt, RouteLog

Entry = tuple[RouteLog, Sequence[Receipt]]
Value = str | int | float | None | list[dict[str, str]]

COLUMNS = (
    "created_at", "alert_id", "responder_id", "channel", "kind", "status", "decision", "delay_seconds", "attempts",
    "sent_at", "sent_after_seconds", "read_at", "failed_over_at", "last_error", "address", "contact_method_id",
    "execution_id", "route_log_id", "bundle_id", "receipts",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet, and errors are written by whoever answers a webhook."""


def csv_head() -> bytes:
    """The line of the names."""
    return _csv([COLUMNS])


def csv_lines(entries: Iterable[Entry]) -> bytes:
    """A line for each route log (RFC 4180); what would be a formula gets an apostrophe before it."""
    return _csv([_cell(value) for value in _fields(*entry).values()] for entry in entries)


def json_lines(entries: Iterable[Entry]) -> bytes:
    """An object for each route log, one a line."""
    lines = (json.dumps(_fields(*entry), ensure_ascii=False, separators=(",", ":")) for entry in entries)
    return "".join(f"{line}\n" for line in lines).encode()


def _fields(route: RouteLog, receipts: Sequence[Receipt]) -> dict[str, Value]:
    return {
        "created_at": _instant(route.created_at),
        "alert_id": str(route.alert_id),
        "responder_id": route.responder_id,
        "channel": route.channel,
        "kind": route.kind,
        "status": route.status,
        "decision": route.decision,
        "delay_seconds": route.delay.total_seconds(),
        "attempts": route.attempts,
        "sent_at": _instant(route.sent_at),
        "sent_after_seconds": _seconds(route),
        "read_at": _instant(route.read_at),
        "failed_over_at": _instant(route.failed_over_at),
        "last_error": route.last_error,
        "address": route.address,
        "contact_method_id": route.contact_method_id,
        "execution_id": str(route.execution_id),
        "route_log_id": str(route.route_log_id),
        "bundle_id": str(route.bundle_id or ""),
        "receipts": [
            {"status": one.status, "at": one.at.isoformat(), "detail": one.detail} for one in receipts
        ],
    }


def _seconds(route: RouteLog) -> float | None:
    return round((route.sent_at - route.created_at).total_seconds(), 3) if route.sent_at else None


def _instant(at: datetime | None) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


def _cell(value: Value) -> str:
    if isinstance(value, list):
        text = "; ".join(" ".join(part for part in one.values() if part) for one in value)
    else:
        text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _csv(rows: Iterable[Iterable[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(rows)
    return written.getvalue().encode()


FORMATS: Mapping[str, tuple[str, bytes, Callable[[Iterable[Entry]], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", csv_head(), csv_lines),
    "jsonl": ("application/x-ndjson", b"", json_lines),
}
"""By name: the content type, what comes before the first line, and what makes lines."""
