"""Checks that requests of all services share; each notes what is wrong and what would be right."""

import zoneinfo
from collections.abc import Mapping, Sized
from datetime import UTC, datetime, timedelta
from functools import cache

from chassis import ids
from chassis.errors import Problems

NAME_RULE = "1 to 63 of a-z, 0-9 and '-', beginning and ending with a letter or digit"
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def name(problems: Problems, path: str, value: str) -> None:
    """The id of a configured resource."""
    if not ids.NAME.fullmatch(value):
        problems.add(path, f"{value[:64]!r} is not an id; want {NAME_RULE}")


def text(problems: Problems, path: str, value: str, *, most: int, required: bool = False) -> None:
    """A text of at most `most` characters; Postgres cannot keep NUL."""
    if required and not value.strip():
        problems.add(path, f"is required; want 1 to {most} characters")
    if len(value) > most:
        problems.add(path, f"has {len(value)} characters; want at most {most}")
    if "\0" in value:
        problems.add(path, "holds a NUL character; want text")


def count(problems: Problems, path: str, values: Sized, *, least: int = 0, most: int) -> None:
    """How many elements a list has."""
    if not least <= len(values) <= most:
        problems.add(path, f"has {len(values)} elements; want {least} to {most}")


def number(problems: Problems, path: str, value: int, *, least: int, most: int) -> None:
    """A whole number within bounds, both included."""
    if not least <= value <= most:
        problems.add(path, f"is {value}; want {least} to {most}")


def labels(problems: Problems, path: str, values: Mapping[str, str], *, most: int = 64) -> None:
    """Names of 1 to 128 characters with values of at most 1,024."""
    count(problems, path, values, most=most)
    for key, value in values.items():
        text(problems, f"{path}[{key[:40]!r}].name", key, most=128, required=True)
        text(problems, f"{path}[{key[:40]!r}]", value, most=1024)


def span(
    problems: Problems, path: str, value: timedelta | None, *, least: timedelta, most: timedelta
) -> None:
    """A duration within bounds, both included; None passes."""
    if value is not None and not least <= value <= most:
        problems.add(
            path,
            f"is {_seconds(value)}; want {_seconds(least)} to {_seconds(most)}",
        )


def _seconds(value: timedelta) -> str:
    """A duration as JSON has it: `90s`, `0.5s`."""
    return f"{value.total_seconds():f}".rstrip("0").rstrip(".") + "s"


def interval(
    problems: Problems,
    start: datetime | None,
    end: datetime | None,
    *,
    names: tuple[str, str] = ("starts_at", "ends_at"),
    most: timedelta | None = None,
) -> None:
    """A half-open interval: both ends given and within 1970 to 2200, the end after the start."""
    for path, at in zip(names, (start, end), strict=True):
        if at is None:
            problems.add(path, "is required")
        elif not EARLIEST <= at < LATEST:
            problems.add(path, "is out of range; want a time between 1970 and 2200")
    if start is not None and end is not None:
        if end <= start:
            problems.add(names[1], f"is not after {names[0]}")
        elif most is not None and end - start > most:
            problems.add(names[1], f"is more than {most.days} days after {names[0]}")


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def zone(problems: Problems, path: str, value: str) -> None:
    """The name of an IANA time zone."""
    if value not in _zones():
        problems.add(path, f"{value[:64]!r} is not a time zone; want an IANA name such as 'Europe/Berlin'")
