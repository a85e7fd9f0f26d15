"""Layers, rotations and restrictions in protobuf."""

import re
from collections.abc import Sequence
from datetime import datetime, time

from chassis import validation
from chassis.errors import Problems
from services.roster.domain.restriction import Restriction
from services.roster.domain.rotation import Rotation, Unit
from services.roster.domain.schedule import Layer
from services.roster.domain.time_off import Rule
from tocsin.roster.v1 import schedule_pb2

LAYERS, PEOPLE, RESTRICTIONS, LENGTH = 20, 100, 20, 1000
"""The most of each; CONTRACT's proto says the same."""
LAYER_NAME_LENGTH = 100
UNITS = {schedule_pb2.Rotation.Unit.Value(unit): unit for unit in Unit}
RULES = {schedule_pb2.Layer.TimeOffRule.Value(rule): rule for rule in Rule}
WEEKDAYS = {
    schedule_pb2.Restriction.Weekday.Value(name): day
    for day, name in enumerate(("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"))
}
NAMES = {day: value for value, day in WEEKDAYS.items()}

_START = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:00)?")
_TIME = re.compile(r"\d{2}:\d{2}")
_ANYTIME = datetime(2000, 1, 1)  # noqa: DTZ001  # wall time, in place of a start that could not be read


def read_layers(drafts: Sequence[schedule_pb2.Layer], problems: Problems) -> tuple[Layer, ...]:
    """The layers of a schedule; notes what is wrong with each."""
    validation.count(problems, "layers", drafts, most=LAYERS)
    names: set[str] = set()
    for place, draft in enumerate(drafts):
        if draft.name in names:
            problems.add(
                f"layers[{place}].name",
                f"{draft.name!r} is the name of another layer; want a name of its own",
            )
        names.add(draft.name)
    return tuple(_layer(draft, f"layers[{place}]", problems) for place, draft in enumerate(drafts))


def layer_to_wire(layer: Layer) -> schedule_pb2.Layer:
    """A layer as its message."""
    rotation = layer.rotation
    return schedule_pb2.Layer(
        name=layer.name,
        responder_ids=layer.responder_ids,
        rotation=schedule_pb2.Rotation(
            unit=schedule_pb2.Rotation.Unit.Value(rotation.unit),
            length=rotation.length,
            start=rotation.start.isoformat(timespec="minutes"),
            active_days_only=layer.active_days_only,
        ),
        restrictions=[_restriction_to_wire(restriction) for restriction in layer.restrictions],
        time_off=schedule_pb2.Layer.TimeOffRule.Value(layer.time_off),
    )


def _layer(draft: schedule_pb2.Layer, path: str, problems: Problems) -> Layer:
    validation.text(problems, f"{path}.name", draft.name, most=LAYER_NAME_LENGTH, required=True)
    people = draft.responder_ids
    validation.count(problems, f"{path}.responder_ids", people, least=1, most=PEOPLE)
    if people and not any(people):
        problems.add(f"{path}.responder_ids", "names nobody for any turn; want at least one person")
    validation.count(problems, f"{path}.restrictions", draft.restrictions, most=RESTRICTIONS)
    active_days_only = draft.rotation.active_days_only
    if active_days_only and (draft.rotation.unit != schedule_pb2.Rotation.DAILY or not draft.restrictions):
        problems.add(
            f"{path}.rotation.active_days_only", "is for DAILY rotations of layers with restrictions alone"
        )
    if draft.time_off and draft.time_off not in RULES:
        problems.add(f"{path}.time_off", f"is not a rule; want {', '.join(Rule)}")
    return Layer(
        name=draft.name,
        responder_ids=tuple(people),
        rotation=_rotation(draft, f"{path}.rotation", problems),
        restrictions=tuple(
            _restriction(restriction, f"{path}.restrictions[{place}]", problems)
            for place, restriction in enumerate(draft.restrictions)
        ),
        active_days_only=active_days_only,
        time_off=RULES.get(draft.time_off, Rule.SKIP),
    )


def _rotation(layer: schedule_pb2.Layer, path: str, problems: Problems) -> Rotation:
    if not layer.HasField("rotation"):
        problems.add(path, "is required")
        return Rotation(Unit.WEEKLY, 1, _ANYTIME)
    draft = layer.rotation
    unit = UNITS.get(draft.unit)
    if unit is None:
        problems.add(f"{path}.unit", f"is required; want {', '.join(Unit)}")
    length = draft.length if draft.HasField("length") else 1
    validation.number(problems, f"{path}.length", length, least=1, most=LENGTH)
    return Rotation(unit or Unit.WEEKLY, length, _start(draft.start, f"{path}.start", problems))


def _start(value: str, path: str, problems: Problems) -> datetime:
    try:
        if not _START.fullmatch(value):
            raise ValueError(value)
        start = datetime.fromisoformat(value)
    except ValueError:
        problems.add(
            path, f"{value[:64]!r} is not a local time; want it without an offset, like '2026-03-01T09:00'"
        )
        return _ANYTIME
    if not validation.EARLIEST.year <= start.year < validation.LATEST.year:
        problems.add(path, "is out of range; want a time between 1970 and 2200")
        return _ANYTIME
    return start


def _restriction(draft: schedule_pb2.Restriction, path: str, problems: Problems) -> Restriction:
    for place, day in enumerate(draft.weekdays):
        if day not in WEEKDAYS:
            problems.add(f"{path}.weekdays[{place}]", "is not a weekday; want MON to SUN")
    return Restriction(
        frozenset(WEEKDAYS.get(day, 0) for day in draft.weekdays),
        _time(draft.start_time, f"{path}.start_time", problems),
        _time(draft.end_time, f"{path}.end_time", problems),
    )


def _time(value: str, path: str, problems: Problems) -> time:
    try:
        if _TIME.fullmatch(value):
            return time.fromisoformat(value)
    except ValueError:
        pass
    problems.add(path, f"{value[:64]!r} is not a time of day; want one like '09:00'")
    return time()


def _restriction_to_wire(restriction: Restriction) -> schedule_pb2.Restriction:
    return schedule_pb2.Restriction(
        weekdays=[NAMES[day] for day in sorted(restriction.weekdays)],
        start_time=restriction.start_time.isoformat(timespec="minutes"),
        end_time=restriction.end_time.isoformat(timespec="minutes"),
    )
