"""Who is on call, worked out minute by minute from what the clocks show, sharing no code with the product.

A wall time counts as reached from the first moment at which the clocks show it or a later one, and as left behind
from the moment after which they never show an earlier one: so gaps and repeated hours need no rule of their own.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from services.roster.domain.coverage import Plan
from services.roster.domain.interval import Interval
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer
from services.roster.domain.shift import Override
from services.roster.domain.time_off import Rule

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
AROUND = timedelta(hours=25)
"""No clock has been set by more than a day since the years that are looked at."""


def by_minute(plan: Plan, window: Interval) -> dict[datetime, dict[str, str]]:
    """For each minute of the window who is on call, with the source or the layer's name."""
    return {
        at: _in_force(plan, at, reached, left)
        for at, reached, left in _clocks(ZoneInfo(plan.schedule.time_zone), window)
    }


def _clocks(zone: ZoneInfo, window: Interval) -> list[tuple[datetime, datetime, datetime]]:
    """For each minute the latest wall time shown so far and the earliest shown from now on."""
    minutes = []
    at = window.starts_at - AROUND
    while at < window.ends_at + AROUND:
        minutes.append((at, at.astimezone(zone).replace(tzinfo=None)))
        at += MINUTE
    reached = [minutes[0][1]]
    for _, shown in minutes[1:]:
        reached.append(max(reached[-1], shown))
    left = [minutes[-1][1]]
    for _, shown in reversed(minutes[:-1]):
        left.append(min(left[-1], shown))
    rows = zip((at for at, _ in minutes), reached, reversed(left), strict=True)
    return [row for row in rows if window.starts_at <= row[0] < window.ends_at]


def _in_force(plan: Plan, at: datetime, reached: datetime, left: datetime) -> dict[str, str]:
    people = {s.responder_id: "EXPLICIT" for s in plan.shifts if s.starts_at <= at < s.ends_at}
    away = on_leave(plan, at)
    for layer in plan.schedule.layers[::-1]:
        person = _on_layer(layer, reached, left, away)
        if person and not people:
            people = {person: layer.name}
    return overridden(people, [o for o in plan.overrides if o.starts_at <= at < o.ends_at])


def overridden(people: Mapping[str, str], active: Sequence[Override]) -> dict[str, str]:
    """What overrides that are all in force make of people on call, each with what put them there."""
    found: dict[str, str] = {}
    for person, why in people.items():
        _enter(found, *_followed(person, why, 0, active))
    for override in active:
        if override.replaced_responder_id is None and override.responder_id is not None:
            age = override.override_id.int
            _enter(found, *_followed(override.responder_id, "OVERRIDE", age, active))
    return found


def _enter(found: dict[str, str], person: str | None, why: str) -> None:
    if person is not None and (why == "OVERRIDE" or person not in found):
        found[person] = why


def _followed(person: str, why: str, age: int, active: Sequence[Override]) -> tuple[str | None, str]:
    """Whoever stands in the person's place in the end."""
    newer = [o for o in active if o.replaced_responder_id == person and o.override_id.int > age]
    if not newer:
        return person, why
    newest = max(newer, key=lambda o: o.override_id.int)
    if newest.responder_id is None:
        return None, why
    return _followed(newest.responder_id, "OVERRIDE", newest.override_id.int, active)


def on_leave(plan: Plan, at: datetime) -> set[str]:
    """Everybody on leave at an instant."""
    return {off.responder_id for off in plan.time_off if off.starts_at <= at < off.ends_at}


def _on_layer(layer: Layer, reached: datetime, left: datetime, away: set[str]) -> str:
    if layer.restrictions and not any(
        _is_open(day, r.weekdays, r.start_time, r.end_time, reached, left)
        for r in layer.restrictions
        for day in (reached.date() - n * DAY for n in range(4))
    ):
        return ""
    people = layer.responder_ids
    place = _turn(layer.rotation, reached) % len(people)
    if layer.time_off is Rule.FLAG or not people[place]:
        return people[place]
    following = [*people[place:], *people[:place]]
    return next((person for person in following if person and person not in away), "")


def _is_open(
    day: object, weekdays: frozenset[int], opens: time, closes: time, reached: datetime, left: datetime
) -> bool:
    midnight = datetime.fromisoformat(f"{day}T00:00")
    if weekdays and midnight.weekday() not in weekdays:
        return False
    start = midnight + timedelta(hours=opens.hour, minutes=opens.minute)
    end = midnight + timedelta(hours=closes.hour, minutes=closes.minute)
    if end <= start:
        end += DAY
    return reached >= start and left < end


def _turn(rotation: Rotation, reached: datetime) -> int:
    """Counts one handoff after the other from the start, forwards or backwards."""
    if rotation.unit is not Unit.MONTHLY:
        hours = {Unit.HOURLY: 1, Unit.DAILY: 24, Unit.WEEKLY: 168}[rotation.unit] * rotation.length
        return int((reached - rotation.start).total_seconds() // (hours * 3600))
    turn = 0
    while _month(rotation, turn + 1) <= reached:
        turn += 1
    while _month(rotation, turn) > reached:
        turn -= 1
    return turn


def _month(rotation: Rotation, turn: int) -> datetime:
    year, month = rotation.start.year, rotation.start.month
    for _ in range(abs(turn) * rotation.length):
        month += 1 if turn > 0 else -1
        if month in (0, 13):
            year, month = (year - 1, 12) if month == 0 else (year + 1, 1)
    for day in range(rotation.start.day, 27, -1):
        try:
            return rotation.start.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    return rotation.start.replace(year=year, month=month)
