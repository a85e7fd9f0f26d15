"""Windows that recur by a zone's wall clock: an RRULE of RFC 5545 and how long each window is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

from chassis import validation
from chassis.errors import Problems

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONGEST = timedelta(days=7)
HORIZON = timedelta(days=3660)
"""How far ahead a next window is looked for."""
NEVER = datetime(9999, 1, 1)  # noqa: DTZ001
"""After every wall time that is asked for."""
TEXT, COUNT = 256, 1_000
INTERVALS = {"DAILY": 366, "WEEKLY": 53, "MONTHLY": 12, "YEARLY": 2}
"""The frequencies there are, and the largest interval of each."""
_WEEKDAY = "(?:MO|TU|WE|TH|FR|SA|SU)"
FORMS = {
    "FREQ": (re.compile("|".join(INTERVALS)), f"one of {', '.join(INTERVALS)}"),
    "INTERVAL": (re.compile(r"[1-9]\d{0,2}"), "a number of at most three digits"),
    "COUNT": (re.compile(r"[1-9]\d{0,3}"), "a number of at most four digits"),
    "UNTIL": (re.compile(r"\d{8}(T\d{6}Z?)?"), "like 20260301 or 20260301T090000Z"),
    "WKST": (re.compile(_WEEKDAY), "one of MO to SU"),
    "BYMONTH": (re.compile(r"(?:[1-9]|1[0-2])"), "1 to 12"),
    "BYMONTHDAY": (re.compile(r"[+-]?(?:[1-9]|[12]\d|3[01])"), "1 to 31, or -31 to -1"),
    "BYDAY": (re.compile(rf"(?:[+-]?[1-5])?{_WEEKDAY}"), "MO to SU, or like 1MO or -1FR"),
    "BYSETPOS": (re.compile("-?1"), "1 or -1"),
    "BYHOUR": (re.compile(r"(?:1?\d|2[0-3])"), "0 to 23"),
    "BYMINUTE": (re.compile(r"[1-5]?\d"), "0 to 59"),
}
"""What the parts of a rule may be, one of several where their names begin with BY, and how that is told."""
A_DAY = 24
"""So many windows may begin on a day."""
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days that each month can have."""


@dataclass(frozen=True, slots=True)
class Recurrence:
    """An RRULE without its name, the zone whose clock counts, and the length of each window on that clock."""

    rrule: str
    time_zone: str
    duration: timedelta

    def windows(self, first: datetime, after: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The windows that end after an instant, in the order of their starts, up to ten years ahead.

        `first` anchors the rule, as DTSTART does. Only what the checks below let pass is computed in bounded time.
        """
        zone = ZoneInfo(self.time_zone)
        anchor, since = _wall(first, zone), _wall(after, zone) - self.duration - DAY
        parts = _parts(self.rrule)
        anchor = _nearer(anchor, since, parts)
        until = min(_until(parts, zone), max(since, anchor) + HORIZON)
        for wall in rrulestr(_without_end(parts), dtstart=anchor).xafter(since, inc=True):
            if wall > until:
                return
            start, end = _instant(wall, zone, late=False), _instant(wall + self.duration, zone, late=True)
            if end > after and start < end:
                yield start, end


@lru_cache(maxsize=4096)
def coming(recurrence: Recurrence, first: datetime, after: datetime) -> tuple[tuple[datetime, datetime], ...]:
    """The windows that end after an instant and begin within an hour of it, and the first one after these."""
    found = []
    for window in recurrence.windows(first, after):
        found.append(window)
        if window[0] >= after + HOUR:
            break
    return tuple(found)


def check_recurrence(problems: Problems, path: str, recurrence: Recurrence, first: datetime) -> None:
    """Notes what is wrong with it, each by its field: a rule that passes never takes long to compute."""
    validation.span(problems, f"{path}.duration", recurrence.duration, least=MINUTE, most=LONGEST)
    known = len(problems.found)
    validation.zone(problems, f"{path}.time_zone", recurrence.time_zone)
    problem = _misspelt(recurrence.rrule)
    if problem is None and len(problems.found) == known:
        problem = _impossible(recurrence, first)
    if problem:
        problems.add(f"{path}.rrule", problem)


def _misspelt(text: str) -> str | None:
    """What makes a text no RRULE that is taken; None when nothing does. dateutil hangs on some that are none."""
    if not text:
        return "is required; want an RRULE such as 'FREQ=WEEKLY;BYDAY=SA,SU'"
    if len(text) > TEXT:
        return f"has {len(text)} characters; want at most {TEXT}"
    named = [part.partition("=") for part in text.upper().removesuffix(";").split(";")]
    for place, (key, _, value) in enumerate(named):
        if key not in FORMS:
            return f"{key[:40]!r} is not among the parts that are known: {', '.join(sorted(FORMS))}"
        if key in {earlier for earlier, _, _ in named[:place]}:
            return f"{key} is given twice"
        form, want = FORMS[key]
        for one in value.split(",") if key.startswith("BY") else [value]:
            if not form.fullmatch(one):
                return f"{key} has {one[:40]!r}; want {want}"
    parts = _parts(text)
    if (freq := parts.get("FREQ")) is None:
        return f"has no FREQ; want one of {', '.join(INTERVALS)}"
    for key, most in (("INTERVAL", INTERVALS[freq]), ("COUNT", COUNT)):
        if int(parts.get(key, "1")) > most:
            return f"{key} is {parts[key]}; want 1 to {most} with {freq}"
    starts = [len(parts.get(key, "").split(",")) for key in ("BYHOUR", "BYMINUTE")]
    if starts[0] * starts[1] > A_DAY:
        return f"begins {starts[0] * starts[1]} times a day; want at most {A_DAY}"
    if re.search(r"\d", parts.get("BYDAY", "")) and (freq in ("DAILY", "WEEKLY") or "BYMONTHDAY" in parts):
        return "BYDAY has a number; that is for MONTHLY and YEARLY without BYMONTHDAY"
    try:
        _until(parts, ZoneInfo("UTC"))
    except ValueError:
        return f"UNTIL is {parts['UNTIL']}, which is no date"
    return None


def _impossible(recurrence: Recurrence, first: datetime) -> str | None:
    """Says so of a rule without a window; one that no day fits is found out without looking for the day."""
    parts = _parts(recurrence.rrule)
    months = [int(one) for one in parts.get("BYMONTH", "").split(",") if one] or range(1, 13)
    days = [int(one) for one in parts.get("BYMONTHDAY", "").split(",") if one]
    if not days and "BYDAY" not in parts and parts["FREQ"] in ("MONTHLY", "YEARLY"):
        days = [_wall(first, ZoneInfo(recurrence.time_zone)).day]
    fits = not days or any(1 <= abs(day) <= LENGTHS[month - 1] for day in days for month in months)
    weekly = parts["FREQ"] == "DAILY" and int(parts.get("INTERVAL", "1")) % 7 == 0
    if not fits or (weekly and "BYDAY" in parts) or not any(islice(recurrence.windows(first, first), 1)):
        return "has no window within ten years of starts_at"
    return None


def _parts(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.upper().removesuffix(";").split(";"))
    return {key: value for key, _, value in pairs}


def _without_end(parts: dict[str, str]) -> str:
    return ";".join(f"{key}={value}" for key, value in parts.items() if key != "UNTIL")


def _nearer(anchor: datetime, since: datetime, parts: dict[str, str]) -> datetime:
    """A later anchor of the same windows, so that a rule of long ago is not walked through from its start."""
    days = {"DAILY": 1, "WEEKLY": 7}.get(parts["FREQ"])
    if days is None or "COUNT" in parts or since <= anchor:
        return anchor
    cycle = timedelta(days=days * int(parts.get("INTERVAL", "1")))
    return anchor + (since - anchor) // cycle * cycle


def _until(parts: dict[str, str], zone: ZoneInfo) -> datetime:
    """UNTIL on the zone's clock: RFC 5545 gives it in UTC, or as a date, which is held whole. Raises ValueError."""
    text = parts.get("UNTIL")
    if text is None:
        return NEVER
    if "T" not in text:
        return datetime.fromisoformat(text) + DAY - timedelta.resolution
    at = datetime.fromisoformat(text)
    return at if at.tzinfo is None else _wall(at, zone)


def _wall(at: datetime, zone: ZoneInfo) -> datetime:
    return at.astimezone(zone).replace(tzinfo=None)


def _instant(wall: datetime, zone: ZoneInfo, *, late: bool) -> datetime:
    """The instant of a wall time, the later one of two; for one that is skipped, when the clocks go on."""
    at = wall.replace(tzinfo=zone, fold=int(late)).astimezone(UTC)
    if _wall(at, zone) == wall:
        return at
    before, after = sorted(wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta.resolution:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
