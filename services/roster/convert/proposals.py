"""Proposed changes of a schedule in protobuf, put into its plan."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import TypeVar
from uuid import UUID

from chassis import validation
from chassis.errors import Problems
from chassis.wire import MICROSECOND
from services.roster.convert import schedules, shifts
from services.roster.domain.coverage import Plan
from services.roster.domain.schedule import Schedule
from services.roster.domain.shift import Override, Shift
from tocsin.roster.v1 import schedule_service_pb2, shift_pb2, shift_service_pb2

MOST_PROPOSED = 1_000
"""Of each kind of change; the proto says the same."""
Made = TypeVar("Made", Shift, Override)


def read(
    request: schedule_service_pb2.PreviewScheduleChangeRequest,
    plan: Plan,
    people: Collection[str],
    now: datetime,
    problems: Problems,
) -> Plan:
    """The plan with what a request proposes; notes what is wrong with it. `people` are those who exist."""
    for name in ("add_shifts", "remove_shift_ids", "add_overrides", "remove_override_ids"):
        validation.count(problems, name, getattr(request, name), most=MOST_PROPOSED)
    kept_shifts = {shift.shift_id: shift for shift in plan.shifts}
    _remove(request.remove_shift_ids, kept_shifts, "remove_shift_ids", problems)
    kept_overrides = {override.override_id: override for override in plan.overrides}
    _remove(request.remove_override_ids, kept_overrides, "remove_override_ids", problems)
    added_shifts = [
        _noted(_shift(draft, plan), f"add_shifts[{place}]", problems)
        for place, draft in enumerate(request.add_shifts)
    ]
    added_overrides = [
        _noted(_override(draft, plan, now + place * MICROSECOND), f"add_overrides[{place}]", problems)
        for place, draft in enumerate(request.add_overrides)
    ]
    proposed = replace(
        plan,
        schedule=_schedule(request, plan.schedule, problems),
        shifts=[*kept_shifts.values(), *added_shifts],
        overrides=[*kept_overrides.values(), *added_overrides],
    )
    _check_people(proposed, added_shifts, added_overrides, people, problems)
    _check_overlaps(proposed.shifts, added_shifts, problems)
    return proposed


def unsaved(before: Plan, after: Plan) -> set[UUID]:
    """The ids of shifts and overrides that a proposal adds."""
    return _ids(after) - _ids(before)


def _ids(plan: Plan) -> set[UUID]:
    return {shift.shift_id for shift in plan.shifts} | {override.override_id for override in plan.overrides}


def _schedule(
    request: schedule_service_pb2.PreviewScheduleChangeRequest, schedule: Schedule, problems: Problems
) -> Schedule:
    if not request.HasField("schedule"):
        return schedule
    update = schedule_service_pb2.UpdateScheduleRequest(
        schedule=request.schedule, update_mask=request.update_mask
    )
    own = Problems()
    changed = schedules.changed(schedule, update, own)
    for field in own.found:
        path = field.path if field.path == "update_mask" else f"schedule.{field.path}"
        problems.add(path, field.description)
    return changed


def _remove(names: Iterable[str], kept: dict[UUID, Made], path: str, problems: Problems) -> None:
    by_name = {str(key): key for key in kept}
    for place, name in enumerate(names):
        if name in by_name:
            kept.pop(by_name[name], None)
        else:
            problems.add(f"{path}[{place}]", f"{name[:64]!r} is nothing of this schedule")


def _noted(read: Callable[[Problems], Made], path: str, problems: Problems) -> Made:
    """What is read, with its problems noted below a path."""
    own = Problems()
    made = read(own)
    for field in own.found:
        problems.add(f"{path}.{field.path}", field.description)
    return made


def _shift(draft: shift_pb2.Shift, plan: Plan) -> Callable[[Problems], Shift]:
    request = shift_service_pb2.CreateShiftRequest(shift=draft)
    request.shift.schedule_id = plan.schedule.schedule_id
    return lambda problems: shifts.new_shift(request, problems)


def _override(draft: shift_pb2.Override, plan: Plan, now: datetime) -> Callable[[Problems], Override]:
    request = shift_service_pb2.CreateOverrideRequest(override=draft)
    request.override.schedule_id = plan.schedule.schedule_id
    return lambda problems: shifts.new_override(request, now, problems)


def _check_people(
    proposed: Plan,
    added_shifts: Sequence[Shift],
    added_overrides: Sequence[Override],
    people: Collection[str],
    problems: Problems,
) -> None:
    named: list[tuple[str, str | None]] = [
        (f"schedule.layers[{i}].responder_ids[{j}]", person)
        for i, layer in enumerate(proposed.schedule.layers)
        for j, person in enumerate(layer.responder_ids)
    ]
    named += [(f"add_shifts[{n}].responder_id", shift.responder_id) for n, shift in enumerate(added_shifts)]
    for n, override in enumerate(added_overrides):
        named.append((f"add_overrides[{n}].responder_id", override.responder_id))
        named.append((f"add_overrides[{n}].replaced_responder_id", override.replaced_responder_id))
    for path, person in named:
        if person and person not in people:
            problems.add(path, f"the responder {person[:64]!r} does not exist")


def _check_overlaps(every: Sequence[Shift], added: Sequence[Shift], problems: Problems) -> None:
    places = {shift.shift_id: place for place, shift in enumerate(added)}
    in_order = sorted(every, key=lambda shift: (shift.responder_id, shift.starts_at))
    for earlier, later in pairwise(in_order):
        if earlier.responder_id == later.responder_id and later.starts_at < earlier.ends_at:
            place = max(places.get(earlier.shift_id, -1), places.get(later.shift_id, -1))
            problems.add(f"add_shifts[{place}]", f"overlaps another shift of {later.responder_id!r}")
