"""Instants and lengths of time as people type them, and instants as they are shown."""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from cli.tokens import UNITS, duration

_LENGTH = re.compile(r"(?:[1-9][0-9]{0,8}[smhd])+")
_PART = re.compile(r"([0-9]+)([smhd])")


def length(text: str) -> timedelta:
    """Reads a duration or several in a row, like `90s` or `1h30m`; raises ValueError for anything else."""
    if not _LENGTH.fullmatch(text):
        return duration(text)
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in _PART.findall(text)))


def instant(text: str, *, now: datetime) -> datetime:
    """Reads `now`, `+2h`, `-30m`, or a date or time of ISO 8601; raises ValueError for anything else.

    What has no offset is in this machine's zone; a date alone is its first instant.
    """
    if text == "now":
        return now
    try:
        if text[:1] in "+-" and text[1:]:
            distance = length(text[1:])
            return now + distance if text[0] == "+" else now - distance
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not an instant like now, +2h, -30m or 2026-03-01T09:00") from None


def past(text: str, *, now: datetime) -> datetime:
    """Like `instant`, but a bare duration like `2h` is that long ago."""
    return instant(f"-{text}" if _LENGTH.fullmatch(text) else text, now=now)


def coming(text: str, *, now: datetime) -> datetime:
    """Like `instant`, but a bare duration like `2h` is that long from now."""
    return instant(f"+{text}" if _LENGTH.fullmatch(text) else text, now=now)


def rfc3339(at: datetime) -> str:
    """An instant as the API takes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parsed(text: str) -> datetime:
    """An instant as the API writes it."""
    return datetime.fromisoformat(text)


def seconds(text: str) -> timedelta:
    """A duration as the API writes it, `300s`."""
    return timedelta(seconds=float(text.removesuffix("s")))


def shown(text: str | None, zone: tzinfo | None = None) -> str:
    """An instant of the API for people, in a zone or in this machine's; a dash for none."""
    return f"{parsed(text).astimezone(zone):%Y-%m-%d %H:%M:%S}" if text else "–"


def spoken(distance: timedelta) -> str:
    """A length of time in its two largest units: `45s`, `2m 5s`, `3h 10m`, `4d 2h`."""
    left = max(0, round(distance.total_seconds()))
    parts = []
    for unit, seconds in sorted(UNITS.items(), key=lambda one: -one[1]):
        if count := left // seconds:
            parts.append(f"{count}{unit}")
        left %= seconds
    return " ".join(parts[:2]) or "0s"
