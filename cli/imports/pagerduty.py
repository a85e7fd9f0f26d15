"""PagerDuty's schedules, as `GET /schedules/{id}` or a list of them answers."""

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
    restrictions,
    rotation,
    wall,
    with_own_names,
)


def bring(document: Any, now: datetime) -> Brought:
    """The schedules of an export; raises NoExport when there are none.

    Overrides become explicit shifts: both put their person in the place of everybody else.
    """
    brought = Brought()
    schedules = _schedules(document)
    if not schedules:
        raise NoExport("it has no schedules of PagerDuty: want the answer of GET /schedules/{id}")
    for schedule in schedules:
        _schedule(schedule, brought, now)
    return brought


def _schedules(document: Any) -> list[Json]:
    match document:
        case list():
            return [one for part in document for one in _schedules(part)]
        case {"schedule": dict(schedule)}:
            return [schedule]
        case {"schedules": list(schedules)}:
            return _schedules(schedules)
        case {"schedule_layers": list()}:
            return [document]
        case _:
            return []


def _schedule(schedule: Json, brought: Brought, now: datetime) -> None:
    name = str(schedule.get("name") or schedule.get("summary") or schedule.get("id") or "")
    zone = str(schedule.get("time_zone", ""))
    if not known_zone(zone):
        brought.leave_out(name, f"the time zone {zone!r} is not known; the schedule is left out")
        return
    # PagerDuty lists the layer that wins first.
    layers = [
        _layer(layer, name, ZoneInfo(zone), brought, now) for layer in schedule["schedule_layers"][::-1]
    ]
    kept = [layer for layer in layers if layer is not None]
    schedule_id = brought.schedule(name, zone, with_own_names(kept))
    _overrides(schedule, name, schedule_id, brought, now)
    for policy in schedule.get("escalation_policies") or ():
        brought.leave_out(
            name, f"the escalation policy {_named(policy)!r} uses it; target oncall://{schedule_id} there"
        )


def _layer(layer: Json, schedule: str, zone: ZoneInfo, brought: Brought, now: datetime) -> Json | None:
    name = str(layer.get("name") or layer.get("id") or "layer")
    where = f"{schedule} / {name}"
    start, end = instant(layer.get("start")), instant(layer.get("end"))
    if end is not None and end <= now:
        brought.leave_out(where, f"it ended at {end.isoformat()}; the layer is left out")
        return None
    if end is not None:
        brought.leave_out(where, f"it ends at {end.isoformat()}; our layers have no end: remove it then")
    if start is not None and start > now:
        brought.leave_out(where, f"it begins at {start.isoformat()}; our layers are in force at once")
    anchor = instant(layer.get("rotation_virtual_start")) or start
    seconds = int(layer.get("rotation_turn_length_seconds") or 0)
    turns = rotation(seconds, wall(anchor, zone)) if anchor is not None else None
    people = [_person(user, brought) for user in layer.get("users") or ()]
    if turns is None or not people:
        why = (
            f"its turns last {seconds} s, which is no whole number of hours" if people else "it names nobody"
        )
        brought.leave_out(where, f"{why}; the layer is left out")
        return None
    windows = [_window(one, where, brought) for one in layer.get("restrictions") or ()]
    return {
        "name": name,
        "responder_ids": people,
        "rotation": turns,
        "restrictions": restrictions(window for found in windows for window in found),
    }


def _person(user: Json, brought: Brought) -> str:
    """A user of a layer or an override, wrapped in `user` or not, a reference or whole."""
    one = user.get("user", user)
    name = _named(one)
    return brought.responder(
        str(one.get("id") or one.get("email") or name), name, str(one.get("time_zone") or "")
    )


def _named(one: Json) -> str:
    return str(one.get("name") or one.get("summary") or one.get("email") or one.get("id") or "")


def _window(restriction: Json, where: str, brought: Brought) -> list[Window]:
    hours, minutes, seconds = (int(part) for part in str(restriction["start_time_of_day"]).split(":"))
    lasting = int(restriction["duration_seconds"])
    if seconds or lasting % 60:
        brought.leave_out(where, "a restriction is not to the minute; its seconds are cut off")
    start, length = hours * 60 + minutes, lasting // 60
    if restriction.get("type") == "weekly_restriction":
        day = int(restriction.get("start_day_of_week") or 1) - 1
        return [Window(day * DAY + start, min(length, WEEK))]
    return [Window(day * DAY + start, min(length, DAY)) for day in range(7)]


def _overrides(schedule: Json, name: str, schedule_id: str, brought: Brought, now: datetime) -> None:
    entries = schedule.get("overrides")
    if entries is None:
        entries = (schedule.get("overrides_subschedule") or {}).get("rendered_schedule_entries") or ()
    parts: dict[str, list[tuple[datetime, datetime, str]]] = defaultdict(list)
    for entry in entries:
        start, end = instant(entry.get("start")), instant(entry.get("end"))
        if start is None or end is None or not entry.get("user"):
            brought.leave_out(name, f"the override {entry.get('id', '')!r} has no start, end or user")
        elif end > now:
            key = str(entry.get("id") or start.isoformat())
            parts[_person(entry["user"], brought)].append((start, end, key))
    for person, intervals in parts.items():
        for start, end, key in merged(intervals):
            request_id = f"pagerduty:{schedule.get('id', name)}:{key}"[:128]
            brought.shift(schedule_id, person, start, end, request_id)
