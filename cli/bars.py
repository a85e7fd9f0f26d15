"""Stretches of time drawn as bars, and instants as dots, of characters below an axis of time."""

from collections.abc import Iterable
from datetime import datetime, timedelta, tzinfo

from cli.api import Json
from cli.moments import parsed, spoken

WHOLE, PART, NONE, DOT = "█", "▒", "·", "●"
BEYOND = timedelta(days=3)
"""Windows longer than this have days on their axis, shorter ones hours too."""
HOURS = 6


def bars(segments: Iterable[Json], start: datetime, end: datetime, cells: int) -> list[tuple[str, str]]:
    """Name and bar of everybody who has a segment, in the order of their first one.

    A cell is whole or in part where the person is on call for all or some of its time.
    """
    step = (end - start) / cells
    shares: dict[str, list[float]] = {}
    for segment in sorted(segments, key=lambda one: parsed(one["starts_at"])):
        share = shares.setdefault(segment["responder_id"], [0.0] * cells)
        first = (parsed(segment["starts_at"]) - start) / step
        last = (parsed(segment["ends_at"]) - start) / step
        for cell in range(max(0, int(first)), min(cells, int(last) + 1)):
            share[cell] += max(0.0, min(last, cell + 1) - max(first, cell))
    return [(name, "".join(map(_cell, share))) for name, share in shares.items()]


def dots(
    marks: Iterable[tuple[str, datetime]], start: datetime, end: datetime, cells: int
) -> list[tuple[str, str]]:
    """Name and line of everybody who has a mark, in the order of their first one."""
    lines: dict[str, list[str]] = {}
    for name, at in marks:
        lines.setdefault(name, [NONE] * cells)[_cell_of(at, start, end, cells)] = DOT
    return [(name, "".join(line)) for name, line in lines.items()]


def ruler(instants: Iterable[datetime], start: datetime, end: datetime, cells: int) -> str:
    """How long after the start each instant is, at its cell where there is room."""
    line = ""
    for at in sorted(set(instants)):
        label = f"+{spoken(at - start).replace(' ', '')}"
        cell = min(_cell_of(at, start, end, cells), cells - len(label))
        if not line or cell > len(line):
            line = line.ljust(cell) + label
    return line


def _cell_of(at: datetime, start: datetime, end: datetime, cells: int) -> int:
    return min(cells - 1, int((at - start) / (end - start) * cells))


def axis(start: datetime, end: datetime, zone: tzinfo, cells: int) -> str:
    """The days that begin in a window, and hours of a short one, in a zone, each at its cell where there is room."""
    line = ""
    for at in _marks(start, end, zone):
        cell = int((at - start) / (end - start) * cells)
        label = f"{at:%a %d}" if at.hour == 0 else f"{at:%H:%M}"
        if cell + len(label) <= cells and (not line or cell > len(line)):
            line = line.ljust(cell) + label
    return line


def _marks(start: datetime, end: datetime, zone: tzinfo) -> Iterable[datetime]:
    hours = range(0, 24, HOURS) if end - start <= BEYOND else (0,)
    day = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        for hour in hours:
            at = day.replace(hour=hour)
            if start <= at < end:
                yield at
        day = (day + timedelta(days=1)).replace(hour=0)


def _cell(share: float) -> str:
    return WHOLE if share > 0.95 else PART if share > 0.05 else NONE
