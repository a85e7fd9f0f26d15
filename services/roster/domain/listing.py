"""The shifts of a window: explicit ones as they were made, computed ones as layers and overrides make them."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from services.roster.domain.coverage import Plan, cover, segments
from services.roster.domain.interval import Interval
from services.roster.domain.shift import Shift, Source


class Listed(NamedTuple):
    """A shift in a list; `shift_id` is empty for a computed one."""

    starts_at: datetime
    schedule_id: str
    responder_id: str
    shift_id: str
    ends_at: datetime
    source: Source

    def place(self) -> tuple[datetime, str, str, str]:
        """Lists are sorted by it; no two shifts share one."""
        return self[:4]


def listed(shift: Shift) -> Listed:
    """An explicit shift as it was made."""
    return Listed(
        shift.starts_at,
        shift.schedule_id,
        shift.responder_id,
        str(shift.shift_id),
        shift.ends_at,
        Source.EXPLICIT,
    )


def in_window(plans: Iterable[Plan], window: Interval) -> list[Listed]:
    """Explicit shifts that meet the window, and the computed ones clipped to it; in order."""
    found = []
    for plan in plans:
        found += [
            listed(shift)
            for shift in plan.shifts
            if shift.starts_at < window.ends_at and shift.ends_at > window.starts_at
        ]
        found += [
            Listed(
                segment.starts_at,
                plan.schedule.schedule_id,
                segment.responder_id,
                "",
                segment.ends_at,
                segment.source,
            )
            for segment in segments(cover(plan, window))
            if segment.source is not Source.EXPLICIT
        ]
    return sorted(found, key=Listed.place)
