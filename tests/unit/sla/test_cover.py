"""Periods are put together exactly, whatever their edges, and of few parts."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from hypothesis import example, given
from hypothesis import strategies as st

from services.sla.domain.cover import EPOCH, LENGTH, Part, cover
from services.sla.domain.figures import Window

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
INSTANTS = st.integers(0, 90 * 86_400 * 10**6).map(
    lambda micros: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros)
)


def at_moments(parts: Iterable[Part], moments: list[datetime]) -> list[int]:
    """How often each moment is counted."""
    parts = list(parts)
    return [sum(p.sign for p in parts if p.window.start <= moment < p.window.end) for moment in moments]


@given(
    INSTANTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=80)), st.lists(INSTANTS, max_size=20)
)
@example(datetime(2026, 3, 1, 12, 10, tzinfo=UTC), timedelta(minutes=20), [])
@example(datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=8), [])
def test_every_moment_of_a_period_counts_once(
    start: datetime, length: timedelta, moments: list[datetime]
) -> None:
    """And none besides, whether it is counted with a cell or as a fact."""
    window = Window(start, start + length)
    found = cover(window)
    near = [start, window.end, start - HOUR, window.end + HOUR, start + length / 2]
    near += [part.window.start for part in (*found.cells, *found.edges)]
    for moment in (*moments, *near):
        inside = int(window.start <= moment < window.end)
        assert at_moments([*found.cells, *found.edges], [moment]) == [inside]


@given(INSTANTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=80)))
def test_cells_are_whole_and_few(start: datetime, length: timedelta) -> None:
    """Their windows begin and end where cells do; facts are asked for no more than an hour altogether."""
    found = cover(Window(start, start + length))
    cells = 0
    for part in found.cells:
        assert part.grain is not None
        assert not (part.window.start - EPOCH) % LENGTH[part.grain]
        assert not (part.window.end - EPOCH) % LENGTH[part.grain]
        cells += (part.window.end - part.window.start) // LENGTH[part.grain]
    assert cells <= 2 * (3 + 2 + 4) + length / (8 * DAY) + 2
    assert sum(((edge.window.end - edge.window.start) for edge in found.edges), timedelta()) <= HOUR


@given(INSTANTS, st.timedeltas(timedelta(microseconds=1), timedelta(days=80)))
def test_the_hours_are_those_of_the_cells(start: datetime, length: timedelta) -> None:
    """Changes that are not folded in yet are taken from exactly there."""
    found = cover(Window(start, start + length))
    if found.hours is None:
        assert not found.cells
        return
    middles = [found.hours.start + HOUR / 2 + n * DAY / 2 for n in range(int(length / DAY) * 2)]
    middles += [found.hours.start - HOUR / 2, found.hours.end + HOUR / 2]
    expected = [int(found.hours.start <= moment < found.hours.end) for moment in middles]
    assert at_moments(found.cells, middles) == expected
