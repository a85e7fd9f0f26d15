"""The events of a calendar feed: a person's time on call, under an id that stays the same while the event does."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from services.roster.domain.coverage import Plan, Segment, cover, segments
from services.roster.domain.interval import Interval
from services.roster.domain.shift import Source

BEHIND, AHEAD = timedelta(days=30), timedelta(days=180)
MARGIN = timedelta(days=120)
"""How far around the feed it is looked where its first and last events really begin and end."""


class Event(NamedTuple):
    """One unbroken stretch of one person on call."""

    uid: str
    schedule_id: str
    responder_id: str
    starts_at: datetime
    ends_at: datetime
    source: Source
    layer: str


def events(plan: Plan, now: datetime) -> Iterator[Event]:
    """The events of a schedule from 30 days ago to 180 days ahead, in order.

    Events at the edges are whole, or reach 120 days beyond when they are longer.
    """
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shown = Interval(today - BEHIND, today + AHEAD)
    around = Interval(shown.starts_at - MARGIN, shown.ends_at + MARGIN)
    for segment in segments(cover(plan, around)):
        if segment.starts_at < shown.ends_at and segment.ends_at > shown.starts_at:
            yield Event(
                _uid(plan.schedule.schedule_id, segment, around),
                plan.schedule.schedule_id,
                segment.responder_id,
                segment.starts_at,
                segment.ends_at,
                segment.source,
                segment.layer,
            )


def names(plan: Plan, responder_id: str) -> bool:
    """Whether a schedule may put a person on call at all."""
    return (
        any(responder_id in layer.named for layer in plan.schedule.layers)
        or any(shift.responder_id == responder_id for shift in plan.shifts)
        or any(override.responder_id == responder_id for override in plan.overrides)
    )


def _uid(schedule_id: str, segment: Segment, around: Interval) -> str:
    """The same tomorrow: what has no beginning in sight is not named by one."""
    begins = "" if segment.starts_at == around.starts_at else segment.starts_at.isoformat()
    parts = (schedule_id, segment.responder_id, segment.source, segment.layer, str(segment.origin), begins)
    return f"{hashlib.sha256('/'.join(parts).encode()).hexdigest()[:40]}@tocsin"
