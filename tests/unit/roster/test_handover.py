"""A watch finds each handover once, however late it looks, and tells of each gap once."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.roster.domain.coverage import Plan
from services.roster.domain.handover import Watch, look
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer, Schedule
from services.roster.domain.shift import Override, Shift

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
ROTATION = Rotation(Unit.DAILY, 1, NOON.replace(tzinfo=None))
DAILY = Schedule("web", "Web", "UTC", (Layer("l", ("ada", "bob"), ROTATION),), NOON)
EMPTY = Schedule("web", "Web", "UTC", (), NOON)


def watch(*people: str, at: datetime = NOON, edited_at: datetime | None = None) -> Watch:
    """A watch that has told of these people."""
    return Watch("web", people, at, edited_at, at, ())


def shift(who: str, start: float, end: float) -> Shift:
    """An explicit shift, in hours from noon."""
    return Shift(UUID(int=0), "web", who, NOON + start * HOUR, NOON + end * HOUR)


def test_a_look_before_the_next_change_finds_nothing_and_waits_for_it() -> None:
    found = look(watch("ada"), Plan(DAILY), NOON + 23.5 * HOUR, WEEK)
    assert found.handovers == []
    assert found.watch.due_at == NOON + DAY
    assert look(watch("ada"), Plan(DAILY), NOON + HOUR, WEEK).watch.due_at == NOON + 2 * HOUR


def test_each_change_that_was_slept_over_is_found_once() -> None:
    found = look(watch("ada"), Plan(DAILY), NOON + 2.5 * DAY, WEEK)
    assert [(h.at, h.outgoing, h.incoming) for h in found.handovers] == [
        (NOON + DAY, ("ada",), ("bob",)),
        (NOON + 2 * DAY, ("bob",), ("ada",)),
    ]
    again = look(found.watch, Plan(DAILY), NOON + 2.5 * DAY, WEEK)
    assert again.handovers == []


def test_a_change_is_due_at_its_instant() -> None:
    found = look(watch("ada"), Plan(DAILY), NOON + DAY, WEEK)
    assert [h.at for h in found.handovers] == [NOON + DAY]


def test_an_edit_hands_over_when_it_was_made() -> None:
    cover = Override(UUID(int=1), "web", "cyd", "ada", NOON - DAY, NOON + 3 * HOUR, NOON)
    edited = watch("ada", edited_at=NOON + HOUR)
    found = look(edited, Plan(DAILY, overrides=[cover]), NOON + 2 * HOUR, WEEK)
    assert [(h.at, h.outgoing, h.incoming) for h in found.handovers] == [(NOON + HOUR, ("ada",), ("cyd",))]
    assert found.watch.edited_at is None


def test_a_gap_begins_and_ends_with_a_handover() -> None:
    plan = Plan(EMPTY, shifts=[shift("ada", 0, 2), shift("ada", 3, 5), shift("bob", 2.5, 5)])
    found = look(watch(), plan, NOON + 10 * HOUR, WEEK)
    assert [(h.at, h.outgoing, h.incoming) for h in found.handovers] == [
        (NOON, (), ("ada",)),
        (NOON + 2 * HOUR, ("ada",), ()),
        (NOON + 2.5 * HOUR, (), ("bob",)),
        (NOON + 3 * HOUR, (), ("ada",)),
        (NOON + 5 * HOUR, ("ada", "bob"), ()),
    ]


def test_a_change_of_reason_alone_is_no_handover() -> None:
    plan = Plan(EMPTY, shifts=[shift("ada", 0, 2), shift("ada", 2, 5)])
    assert look(watch("ada"), plan, NOON + 3 * HOUR, WEEK).handovers == []


def test_a_gap_ahead_is_told_of_once_also_when_it_has_no_end_yet() -> None:
    plan = Plan(EMPTY, shifts=[shift("ada", 0, 48)])
    first = look(watch("ada"), plan, NOON, WEEK)
    assert [(gap.starts_at, gap.ends_at) for gap in first.gaps] == [(NOON + 2 * DAY, NOON + WEEK)]
    seen = first.watch
    for hours in range(1, 47):
        found = look(seen, plan, NOON + hours * HOUR, WEEK)
        assert found.gaps == []
        seen = found.watch


def test_a_gap_that_was_filled_is_told_of_again_when_it_reopens() -> None:
    gappy = Plan(EMPTY, shifts=[shift("ada", 0, 48), shift("ada", 50, 1000)])
    filled = Plan(EMPTY, shifts=[shift("ada", 0, 1000)])
    told = look(watch("ada"), gappy, NOON, WEEK)
    calm = look(told.watch, filled, NOON + HOUR, WEEK)
    again = look(calm.watch, gappy, NOON + 2 * HOUR, WEEK)
    assert (len(told.gaps), len(calm.gaps), len(again.gaps)) == (1, 0, 1)


def test_a_schedule_that_names_nobody_has_no_gap_ahead() -> None:
    assert look(watch(), Plan(EMPTY), NOON, WEEK).gaps == []
    assert look(watch(), Plan(EMPTY, shifts=[shift("ada", -5, -1)]), NOON, WEEK).gaps == []
    assert look(watch("ada"), Plan(EMPTY, shifts=[shift("ada", 0, 1)]), NOON, timedelta()).gaps == []
