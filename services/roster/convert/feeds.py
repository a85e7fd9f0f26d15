"""Calendar feeds as text/calendar (RFC 5545)."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import icalendar

from services.roster.domain.feed import Event
from services.roster.domain.shift import Source

PRODUCT = "-//Tocsin//On call//EN"
REFRESH = timedelta(minutes=15)
"""How often calendar programs are asked to read the feed again."""
RESPONDER = "X-TOCSIN-RESPONDER-ID"
"""The property that names the person, so that an import finds them again."""


def to_text(
    title: str,
    events: Iterable[Event],
    *,
    people: Mapping[str, str],
    schedules: Mapping[str, str],
    now: datetime,
) -> str:
    """The calendar; `people` and `schedules` are the names that people read, by id."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    calendar.add("name", title)
    calendar.add("x-wr-calname", title)
    calendar.add("refresh-interval", REFRESH, parameters={"VALUE": "DURATION"})
    calendar.add("x-published-ttl", icalendar.vDuration(REFRESH))
    stamp = now.replace(microsecond=0)
    for event in events:
        person = people.get(event.responder_id, event.responder_id)
        schedule = schedules.get(event.schedule_id, event.schedule_id)
        calendar.add_component(_event(event, person, schedule, stamp))
    text: bytes = calendar.to_ical()
    return text.decode()


def _event(event: Event, person: str, schedule: str, stamp: datetime) -> icalendar.Event:
    made = icalendar.Event()
    made.add("uid", event.uid)
    made.add("dtstamp", stamp)
    made.add("dtstart", event.starts_at)
    made.add("dtend", event.ends_at)
    made.add("summary", f"{person} on call: {schedule}")
    made.add("description", _reason(event))
    made.add("transp", "TRANSPARENT")
    made.add(RESPONDER, event.responder_id)
    return made


def _reason(event: Event) -> str:
    match event.source:
        case Source.LAYER:
            return f"By the layer {event.layer}."
        case Source.OVERRIDE:
            return "By an override."
        case Source.EXPLICIT:
            return "By a shift."
