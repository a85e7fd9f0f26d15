"""What an export brings: people, schedules and shifts as our API takes them, and what could not be carried over."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cli.api import Json

MOST_ID = 63
DAY = 24 * 60
WEEK = 7 * DAY
"""Minutes."""
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
UNITS = (("WEEKLY", 7 * 24 * 3600), ("DAILY", 24 * 3600), ("HOURLY", 3600))
MOST_LENGTH = 1000


class NoExport(ValueError):
    """A document is no export of the tool; the text says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """Minutes of a week, from a minute of the week (0 is Monday 00:00) on; at most a week."""

    start: int
    length: int


@dataclass(slots=True)
class Brought:
    """What was found. Shifts carry the `request_id` under which they are made, so that a second import makes none."""

    responders: dict[str, Json] = field(default_factory=dict)
    schedules: dict[str, Json] = field(default_factory=dict)
    shifts: list[Json] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    _ids: dict[str, str] = field(default_factory=dict)

    def leave_out(self, where: str, what: str) -> None:
        """Notes something that could not be carried over."""
        self.left_out.append(f"{where}: {what}")

    def responder(self, foreign: str, name: str, zone: str = "") -> str:
        """The id of a person whom the export knows by a foreign id."""
        if foreign not in self._ids:
            self._ids[foreign] = chosen = free(slug(name or foreign, "responder"), self.responders)
            known = zone if known_zone(zone) else "UTC"
            self.responders[chosen] = {
                "responder_id": chosen,
                "display_name": name or chosen,
                "time_zone": known,
            }
        return self._ids[foreign]

    def schedule(self, name: str, zone: str, layers: Sequence[Json]) -> str:
        """Adds a schedule; the answer is its id."""
        chosen = free(slug(name, "schedule"), {*self.schedules, "active", "default"})
        self.schedules[chosen] = {
            "schedule_id": chosen,
            "display_name": name or chosen,
            "time_zone": zone,
            "layers": list(layers),
        }
        return chosen

    def shift(
        self, schedule_id: str, responder_id: str, start: datetime, end: datetime, request_id: str
    ) -> None:
        """Adds an explicit shift."""
        self.shifts.append(
            {
                "schedule_id": schedule_id,
                "responder_id": responder_id,
                "starts_at": start.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "ends_at": end.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                "request_id": request_id,
            }
        )


def slug(name: str, otherwise: str) -> str:
    """An id out of a name: `Zoë O'Neil` is `zoe-o-neil`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MOST_ID].rstrip("-") or otherwise


def free(wanted: str, taken: Iterable[str]) -> str:
    """The id, or the first with a number behind it that is not taken."""
    names, number, found = {*taken}, 1, wanted
    while found in names:
        number += 1
        found = f"{wanted[: MOST_ID - len(str(number)) - 1].rstrip('-')}-{number}"
    return found


def known_zone(name: str) -> bool:
    """Whether a name is that of an IANA time zone."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


def instant(value: object) -> datetime | None:
    """An instant of the export; None for null. Raises NoExport for what is none, or has no offset."""
    if value is None or value == "":
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        raise NoExport(f"{str(value)[:64]!r} is not a time") from None
    if found.tzinfo is None:
        raise NoExport(f"{str(value)[:64]!r} has no offset")
    return found


def wall(at: datetime, zone: ZoneInfo) -> str:
    """An instant as the start of a rotation: local wall time to the minute."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def rotation(seconds: int, start: str) -> Json | None:
    """Turns of so many seconds in the largest unit that fits; None when they are no whole number of hours."""
    for unit, length in UNITS:
        if seconds > 0 and seconds % length == 0 and seconds // length <= MOST_LENGTH:
            return {"unit": unit, "length": seconds // length, "start": start}
    return None


def restrictions(windows: Iterable[Window]) -> list[Json]:
    """Windows of the week as our restrictions, which last a day at most: longer ones follow each other."""
    days: dict[tuple[int, int], set[int]] = {}
    for window in windows:
        at, left = window.start % WEEK, min(window.length, WEEK)
        while left > 0:
            lasting = min(left, DAY)
            days.setdefault((at % DAY, (at + lasting) % DAY), set()).add(at // DAY % 7)
            at, left = at + lasting, left - lasting
    return [
        {
            **({"weekdays": [WEEKDAYS[day] for day in sorted(on)]} if len(on) < len(WEEKDAYS) else {}),
            "start_time": clock(opens),
            "end_time": clock(closes),
        }
        for (opens, closes), on in sorted(days.items())
    ]


def minutes(windows: Iterable[Window]) -> set[int]:
    """The minutes of the week that lie in the windows."""
    return {
        minute % WEEK for window in windows for minute in range(window.start, window.start + window.length)
    }


def clock(minute: int) -> str:
    """A minute of the day as a time."""
    return f"{minute // 60:02}:{minute % 60:02}"


def with_own_names(layers: list[Json]) -> list[Json]:
    """The layers, each with a name of its own, as a schedule of ours wants them."""
    seen: dict[str, int] = defaultdict(int)
    for layer in layers:
        seen[layer["name"]] += 1
        if seen[layer["name"]] > 1:
            layer["name"] = f"{layer['name']} ({seen[layer['name']]})"
    return layers


def merged(parts: Iterable[tuple[datetime, datetime, str]]) -> list[tuple[datetime, datetime, str]]:
    """Intervals with their names; what overlaps or touches becomes one, under the name of the first."""
    found: list[tuple[datetime, datetime, str]] = []
    for start, end, name in sorted(parts):
        if end - start <= timedelta():
            continue
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end), found[-1][2])
        else:
            found.append((start, end, name))
    return found
