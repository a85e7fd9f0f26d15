"""Double cover, the reasons behind segments, and what a change of a schedule would change."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from services.roster.domain.coverage import Plan, cover, segments
from services.roster.domain.interval import Interval
from services.roster.domain.preview import Overlap, changes, compared, overlaps, preview
from tests.unit.roster.test_cover_properties import MINUTE, plans
from tests.unit.roster.test_coverage import WINDOW, hour, layer, override, plan, shift


def test_double_cover_is_marked_with_everybody_in_it() -> None:
    of = plan(
        layer("base", "ada"),
        shifts=[shift("bob", 6, 12), shift("cyd", 9, 15)],
        overrides=[override(1, "dan", 20, 22), override(2, "eve", 21, 22)],
    )
    assert preview(of, WINDOW).overlaps == [
        Overlap(hour(9), hour(12), ("bob", "cyd")),
        Overlap(hour(20), hour(21), ("ada", "dan")),
        Overlap(hour(21), hour(22), ("ada", "dan", "eve")),
    ]


def test_double_cover_does_not_end_where_only_the_reason_changes() -> None:
    of = plan(layer("base", "ada"), shifts=[shift("ada", 6, 12), shift("bob", 6, 12)])
    with_cover = replace(of, overrides=[override(1, "bob", 8, 10)])
    assert overlaps(cover(with_cover, WINDOW)) == [Overlap(hour(6), hour(12), ("ada", "bob"))]


def test_segments_name_the_shift_or_the_override_behind_them() -> None:
    first = replace(shift("bob", 6, 9), shift_id=UUID(int=7))
    second = replace(shift("bob", 9, 12), shift_id=UUID(int=8))
    of = plan(
        layer("base", "ada"),
        shifts=[second, first],
        overrides=[override(1, "cyd", 20, 22, instead_of="ada"), override(2, "dan", 7, 8)],
    )
    assert [(s.responder_id, s.origin and s.origin.int) for s in segments(cover(of, WINDOW))] == [
        ("ada", None),
        ("bob", 7),
        ("dan", 2),
        ("ada", None),
        ("cyd", 1),
        ("ada", None),
    ]


def test_a_change_shows_where_other_people_would_be_on_call() -> None:
    before = plan(layer("base", "ada", "bob"))
    after = replace(before, overrides=[override(1, "cyd", 20, 30)])
    shown, differing = compared(before, after, WINDOW)
    assert [tuple(change) for change in differing] == [
        (hour(20), hour(24), ("ada",), ("ada", "cyd")),
        (hour(24), hour(30), ("bob",), ("bob", "cyd")),
    ]
    assert shown == preview(after, WINDOW)
    assert compared(before, plan(layer("other", "ada", "bob")), WINDOW)[1] == []
    assert [tuple(change) for change in changes([], cover(before, WINDOW), WINDOW)] == [
        (hour(0), hour(24), (), ("ada",)),
        (hour(24), hour(48), (), ("bob",)),
    ]


@settings(max_examples=60, deadline=None)
@given(plans(), st.data())
def test_changes_are_what_differs_minute_by_minute(drawn: tuple[Plan, Interval], data: st.DataObject) -> None:
    before, window = drawn
    kept = data.draw(st.lists(st.sampled_from(before.overrides))) if before.overrides else []
    after = replace(before, overrides=list(dict.fromkeys(kept)), shifts=before.shifts[1:])
    _, found = compared(before, after, window)
    at = window.starts_at
    while at < window.ends_at:
        here = [change for change in found if change.starts_at <= at < change.ends_at]
        old, new = on_call(before, window, at), on_call(after, window, at)
        assert [(change.before, change.after) for change in here] == ([(old, new)] if old != new else [])
        at += 7 * MINUTE


def on_call(of: Plan, window: Interval, at: datetime) -> tuple[str, ...]:
    """Who is on call at an instant."""
    found = [people for starts, ends, people in cover(of, window) if starts <= at < ends]
    return tuple(person.responder_id for person in (found or [()])[0])
