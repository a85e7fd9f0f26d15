"""Opsgenie's schedules, as `GET /v2/schedules` with `expand=rotation` answers, with `overrides` beside the rotations."""

from collections import defaultdict
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from cli.api import Json
from cli.imports.brought import (
    DAY,
    WEEK,
    Brought,
    NoExport,
    Window,
    instant,
    known_zone,
    merged,
    minutes,
    restrictions,
    wall,
    with_own_names,
)

UNITS = {"hourly": "HOURLY", "daily": "DAILY", "weekly": "WEEKLY"}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
ALWAYS = (Window(0, WEEK),)
Rotations = list[tuple[Json, Json, tuple[Window, ...]]]
"""Rotations of the export with our layers and the windows in which they are in force."""


def bring(document: Any, now: datetime) -> Brought:
    """The schedules of an export; raises NoExport when there are none.

    All rotations of a schedule of Opsgenie are on call at once, where of our layers the last one is: rotations that
    share hours become schedules of their own. Overrides become explicit shifts.
    """
    brought = Brought()
    schedules = _schedules(document)
    if not schedules:
        raise NoExport(
            "it has no schedules of Opsgenie: want the answer of GET /v2/schedules?expand=rotation"
        )
    for schedule in schedules:
        _schedule(schedule, brought, now)
    return brought


def _schedules(document: Any) -> list[Json]:
    match document:
        case list():
            return [one for part in document for one in _schedules(part)]
        case {"rotations": list()}:
            return [document]
        case {"data": inner} | {"schedules": inner} | {"schedule": inner}:
            return _schedules(inner)
        case _:
            return []


def _schedule(schedule: Json, brought: Brought, now: datetime) -> None:
    name = str(schedule.get("name") or schedule.get("id") or "")
    zone = str(schedule.get("timezone") or "UTC")
    if not known_zone(zone):
        brought.leave_out(name, f"the time zone {zone!r} is not known; the schedule is left out")
        return
    if schedule.get("enabled") is False:
        brought.leave_out(name, "it is disabled; ours is in force")
    rotations: Rotations = []
    for one in schedule["rotations"]:
        layer, windows = _layer(one, name, ZoneInfo(zone), brought, now)
        if layer is not None:
            rotations.append((one, layer, windows))
    made = _spread(rotations, name, zone, brought)
    _overrides(schedule, name, made, brought, now)


def _spread(rotations: Rotations, name: str, zone: str, brought: Brought) -> dict[str, str]:
    """Rotations as layers of schedules in which no two share hours; the answer is the schedule by rotation id."""
    groups: list[tuple[list[tuple[Json, Json]], set[int]]] = []
    for one, layer, windows in rotations:
        taken = minutes(windows)
        group = next((found for found in groups if not found[1] & taken), None)
        if group is None:
            groups.append(([(one, layer)], taken))
        else:
            group[0].append((one, layer))
            group[1].update(taken)
    made: dict[str, str] = {}
    for number, (members, _) in enumerate(groups or [([], set())]):
        title = name if not number else f"{name} {members[0][1]['name']}"
        schedule_id = brought.schedule(title, zone, with_own_names([layer for _, layer in members]))
        made |= {str(one.get("id") or one.get("name")): schedule_id for one, _ in members}
        made.setdefault("", schedule_id)
        if number:
            names = ", ".join(layer["name"] for _, layer in members)
            brought.leave_out(
                name,
                f"the rotations {names} are on call beside others; they are the schedule {schedule_id}: target both",
            )
    return made


def _layer(
    one: Json, schedule: str, zone: ZoneInfo, brought: Brought, now: datetime
) -> tuple[Json | None, tuple[Window, ...]]:
    name = str(one.get("name") or one.get("id") or "rotation")
    where = f"{schedule} / {name}"
    start, end = instant(one.get("startDate")), instant(one.get("endDate"))
    if end is not None and end <= now:
        brought.leave_out(where, f"it ended at {end.isoformat()}; the rotation is left out")
        return None, ()
    if end is not None:
        brought.leave_out(where, f"it ends at {end.isoformat()}; our layers have no end: remove it then")
    if start is not None and start > now:
        brought.leave_out(where, f"it begins at {start.isoformat()}; our layers are in force at once")
    unit = UNITS.get(str(one.get("type", "")).lower())
    people = [_person(participant, where, brought) for participant in one.get("participants") or ()]
    if unit is None or start is None or not any(people):
        why = "it names nobody" if unit and start else "its type or its start is not known"
        brought.leave_out(where, f"{why}; the rotation is left out")
        return None, ()
    windows = _windows(one.get("timeRestriction"))
    layer = {
        "name": name,
        "responder_ids": people,
        "rotation": {"unit": unit, "length": int(one.get("length") or 1), "start": wall(start, zone)},
        "restrictions": [] if windows == ALWAYS else restrictions(windows),
    }
    return layer, windows


def _person(participant: Json, where: str, brought: Brought) -> str:
    """The id of a participant; empty for nobody, and for what is no person."""
    kind = str(participant.get("type", "user"))
    if kind == "user":
        username = str(participant.get("username") or "")
        name = str(participant.get("fullName") or username.partition("@")[0])
        return brought.responder(
            str(participant.get("id") or username), name, str(participant.get("timeZone") or "")
        )
    if kind != "none":
        named = participant.get("name") or participant.get("id") or ""
        brought.leave_out(where, f"the {kind} {named!r} takes turns; those turns are nobody's")
    return ""


def _windows(limit: Json | None) -> tuple[Window, ...]:
    """The hours of a rotation."""
    match limit:
        case {"type": "time-of-day", "restriction": dict(one)}:
            length = (_minute(one, "end") - _minute(one, "start")) % DAY or DAY
            return tuple(Window(day * DAY + _minute(one, "start"), length) for day in range(7))
        case {"type": "weekday-and-time-of-day", "restrictions": list(many)}:
            return tuple(_weekly(one) for one in many)
        case _:
            return ALWAYS


def _weekly(one: Json) -> Window:
    start = DAYS.index(str(one["startDay"]).lower()) * DAY + _minute(one, "start")
    end = DAYS.index(str(one["endDay"]).lower()) * DAY + _minute(one, "end")
    return Window(start, (end - start) % WEEK or WEEK)


def _minute(one: Json, end: str) -> int:
    return int(one.get(f"{end}Hour") or 0) * 60 + int(one.get(f"{end}Min") or 0)


def _overrides(schedule: Json, name: str, made: dict[str, str], brought: Brought, now: datetime) -> None:
    parts: dict[tuple[str, str], list[tuple[datetime, datetime, str]]] = defaultdict(list)
    for entry in schedule.get("overrides") or ():
        start, end = instant(entry.get("startDate")), instant(entry.get("endDate"))
        key = str(entry.get("alias") or entry.get("id") or start)
        person = _person(entry.get("user") or {"type": "none"}, name, brought)
        if start is None or end is None or not person:
            brought.leave_out(name, f"the override {key!r} has no start, end or user")
            continue
        rotations = [str(one.get("id") or one.get("name")) for one in entry.get("rotations") or ()]
        places = {made[one] for one in rotations if one in made} or {*made.values()}
        for place in places if end > now else ():
            parts[place, person].append((start, end, key))
    for (schedule_id, person), intervals in parts.items():
        for start, end, key in merged(intervals):
            brought.shift(schedule_id, person, start, end, f"opsgenie:{schedule_id}:{key}"[:128])
