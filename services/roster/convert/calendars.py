"""Calendars (RFC 5545) read into explicit shifts, with a word on everything that could not be carried over."""

import hashlib
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import icalendar

from chassis import validation, wire
from chassis.errors import Invalid, Problems
from chassis.ids import uuid7
from services.roster.convert.feeds import RESPONDER
from services.roster.convert.recurrence import Unreadable, occurrences, recurrence_id
from services.roster.domain.interval import Interval
from services.roster.domain.shift import Shift
from tocsin.roster.v1 import calendar_service_pb2

AHEAD, LONGEST = timedelta(days=180), timedelta(days=2 * 366)
MOST_SHIFTS, MOST_TEXT, MOST_NAMES = 10_000, 4 * 1024 * 1024, 1_000
PATIENCE = 8.0
"""Seconds after which reading a calendar is given up."""
WORD = re.compile(r"[a-z0-9-]+")
CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True)
class Skipped:
    """What could not be carried over, and why."""

    uid: str
    summary: str
    reason: str


@dataclass(slots=True)
class Read:
    """The shifts of a calendar with their UIDs, by the request id under which each is known again; and what is not
    among them."""

    shifts: dict[str, Shift] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class People:
    """Who can be meant: responder ids by what the request names in lower case, and all responder ids."""

    named: Mapping[str, str]
    known: Collection[str]

    def of(self, event: icalendar.Event) -> list[str]:
        """Whom an event is for, by id; nobody when nothing of it is known."""
        own = str(event.get(RESPONDER, ""))
        if own in self.known:
            return [own]
        attendees = [*self._of_addresses(event, "ATTENDEE")]
        return sorted({*attendees}) or self._of_summary(event) or [*self._of_addresses(event, "ORGANIZER")]

    def _of_addresses(self, event: icalendar.Event, name: str) -> Iterator[str]:
        found = event.get(name)
        for address in found if isinstance(found, list) else [] if found is None else [found]:
            mail = str(address).strip().lower().removeprefix("mailto:")
            common = str(address.params.get("CN", "")).strip().lower()
            person = self.named.get(mail) or self.named.get(common)
            if person:
                yield person

    def _of_summary(self, event: icalendar.Event) -> list[str]:
        summary = _summary(event).strip().lower()
        if summary in self.named:
            return [self.named[summary]]
        words = {word for word in map(_plain, WORD.findall(summary)) if word in self.known}
        return [*words] if len(words) == 1 else []


def window(
    request: calendar_service_pb2.ImportCalendarRequest, now: datetime, problems: Problems
) -> Interval:
    """The window of an import: 180 days from now unless the request says otherwise; notes what is wrong with it."""
    start = wire.instant(request, "start") or now
    end = wire.instant(request, "end") or start + AHEAD
    validation.interval(problems, start, end, names=("start", "end"), most=LONGEST)
    return Interval(start, end)


def people(
    request: calendar_service_pb2.ImportCalendarRequest, known: Collection[str], problems: Problems
) -> People:
    """Who can be meant; notes whom the request names and nobody knows."""
    validation.count(problems, "responders", request.responders, most=MOST_NAMES)
    for name, person in request.responders.items():
        if person not in known:
            problems.add(f"responders[{name[:64]!r}]", f"the responder {person[:64]!r} does not exist")
    return People({name.strip().lower(): person for name, person in request.responders.items()}, known)


def read(text: str, schedule_id: str, zone: ZoneInfo, within: Interval, who: People) -> Read:
    """The shifts of a calendar that meet the window; raises Invalid for what is no calendar, or is too large."""
    found = Read()
    for event, name, interval in _each(_parsed(text), zone, within, found):
        uid, persons = str(event["UID"]), who.of(event)
        if not persons:
            found.skipped.append(Skipped(uid, _summary(event), "nobody known is meant"))
        for place, person in enumerate(persons):
            request_id = _request_id(schedule_id, uid, name, place)
            found.shifts[request_id] = Shift(uuid7(), schedule_id, person, *interval)
            found.uids[request_id] = uid
        if len(found.shifts) > MOST_SHIFTS:
            raise Invalid.field("calendar", f"makes more than {MOST_SHIFTS} shifts; want a shorter window")
    found.skipped = [*dict.fromkeys(found.skipped)]
    return found


def _parsed(text: str) -> list[icalendar.Event]:
    if len(text) > MOST_TEXT:
        raise Invalid.field("calendar", f"has {len(text)} characters; want at most {MOST_TEXT}")
    try:
        calendars = icalendar.Calendar.from_ical(text, multiple=True)
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise Invalid.field("calendar", f"is no iCalendar: {str(error)[:200]}") from None
    if not calendars or any(calendar.name != "VCALENDAR" for calendar in calendars):
        raise Invalid.field("calendar", "is no iCalendar: it has no VCALENDAR")
    parts = (part for calendar in calendars for part in calendar.walk("VEVENT"))
    return [part for part in parts if isinstance(part, icalendar.Event)]


def _each(
    events: Sequence[icalendar.Event], zone: ZoneInfo, within: Interval, found: Read
) -> Iterator[tuple[icalendar.Event, str, Interval]]:
    """Every occurrence with its event and its place in its series; notes what cannot be read."""
    ends = time.monotonic() + PATIENCE
    moved = _moved(events, zone)
    for event in events:
        if time.monotonic() > ends:
            raise Invalid.field("calendar", "takes too long to expand; want fewer recurring events")
        uid, summary = str(event.get("UID", "")), _summary(event)
        if reason := _unfit(event):
            found.skipped.append(Skipped(uid, summary, reason))
            continue
        try:
            stands_for = recurrence_id(event, zone)
            for name, interval in occurrences(event, zone, within, moved.get(uid, set())):
                yield event, name if stands_for is None else stands_for.isoformat(), interval
        except (Unreadable, OverflowError, ValueError) as error:
            found.skipped.append(Skipped(uid, summary, str(error)[:200]))


def _moved(events: Iterable[icalendar.Event], zone: ZoneInfo) -> dict[str, set[datetime]]:
    """By UID, the occurrences of series that have an event of their own, cancelled ones too."""
    found: dict[str, set[datetime]] = {}
    for event in events:
        try:
            at = recurrence_id(event, zone)
        except (Unreadable, OverflowError, ValueError):
            continue
        if at is not None:
            found.setdefault(str(event.get("UID", "")), set()).add(at)
    return found


def _unfit(event: icalendar.Event) -> str:
    """Why an event cannot be a shift; empty when it can."""
    if not event.get("UID"):
        return "it has no UID"
    if event.errors:
        name, error = event.errors[0]
        return f"its {name or 'properties'} cannot be read: {str(error)[:150]}"
    if str(event.get("STATUS", "")).upper() == CANCELLED:
        return "it is cancelled"
    stands_for = event.get("RECURRENCE-ID")
    if stands_for is not None and "RANGE" in getattr(stands_for, "params", {}):
        return "it changes a series from an occurrence on (RANGE)"
    return ""


def _plain(word: str) -> str:
    return word.strip("-")


def _summary(event: icalendar.Event) -> str:
    return str(event.get("SUMMARY", ""))


def _request_id(schedule_id: str, uid: str, name: str, place: int) -> str:
    parts = "\0".join((schedule_id, uid, name, str(place)))
    return f"ics:{hashlib.sha256(parts.encode()).hexdigest()}"
