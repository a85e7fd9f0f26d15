"""Periods put together from cells that are rolled up, and from the facts at their edges.

All figures are sums, so a part can be taken away as well as added: a period that begins at 23:50 is the day after it,
and ten minutes of facts; one that ends at 23:50 is its last day whole, without ten minutes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from services.sla.domain.figures import Window

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grain(StrEnum):
    """How long a rolled-up cell is: an hour, a quarter of a day, a day or eight days, from the first of January 1970 in
    UTC on."""

    HOUR = "h"
    QUARTER = "q"
    DAY = "d"
    BLOCK = "b"


LENGTH = {
    Grain.HOUR: timedelta(hours=1),
    Grain.QUARTER: timedelta(hours=6),
    Grain.DAY: timedelta(days=1),
    Grain.BLOCK: timedelta(days=8),
}
GRAINS = tuple(LENGTH)


@dataclass(frozen=True, slots=True)
class Part:
    """A window that is added, or with the sign -1 taken away: by the cells of a grain in it, or fact by fact."""

    sign: int
    window: Window
    grain: Grain | None = None


@dataclass(frozen=True, slots=True)
class Cover:
    """What a period is put together from: cells, facts at its edges, and `hours`, the whole hours that cells stand for."""

    cells: tuple[Part, ...]
    edges: tuple[Part, ...]
    hours: Window | None


def cover(window: Window) -> Cover:
    """At most half an hour of facts, three hours, two quarters and four days at each end, and blocks between."""
    start, end = (nearest(at, Grain.HOUR) for at in (window.start, window.end))
    if start == end:
        return Cover((), (Part(1, window),), None)
    edges = (*_way(window.start, start), *_way(end, window.end))
    return Cover(tuple(_cells(start, end, GRAINS)), edges, Window(start, end))


def nearest(at: datetime, grain: Grain) -> datetime:
    """The beginning of a cell that is nearest to an instant."""
    since = (at - EPOCH) % LENGTH[grain]
    return at - since + (LENGTH[grain] if since * 2 >= LENGTH[grain] else timedelta())


def _cells(start: datetime, end: datetime, grains: tuple[Grain, ...]) -> list[Part]:
    """The fewest cells of the grains: of the finest alone, or with the coarser ones between."""
    finest, coarser = grains[0], grains[1:]
    straight = list(_way(start, end, finest))
    if not coarser:
        return straight
    first, last = nearest(start, coarser[0]), nearest(end, coarser[0])
    around = [*_way(start, first, finest), *_cells(first, last, coarser), *_way(last, end, finest)]
    return min(straight, around, key=_number)


def _number(parts: list[Part]) -> int:
    return sum((part.window.end - part.window.start) // LENGTH[part.grain] for part in parts if part.grain)


def _way(start: datetime, end: datetime, grain: Grain | None = None) -> Iterator[Part]:
    """The way from one instant to another: added where it goes forward, taken away where it goes back."""
    if start < end:
        yield Part(1, Window(start, end), grain)
    elif end < start:
        yield Part(-1, Window(end, start), grain)
