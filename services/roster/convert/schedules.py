"""Schedules and their layers in protobuf."""

from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from chassis import validation, wire
from chassis.errors import Conflict, Problems
from chassis.ids import generated_name
from services.roster.convert.layers import layer_to_wire, read_layers
from services.roster.convert.responders import NAME_LENGTH, REQUEST_ID_LENGTH, UTC_ZONE
from services.roster.domain.schedule import RESERVED, Schedule
from tocsin.roster.v1 import schedule_pb2, schedule_service_pb2


def new(request: schedule_service_pb2.CreateScheduleRequest, now: datetime, problems: Problems) -> Schedule:
    """The schedule that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.schedule
    if draft.schedule_id:
        validation.name(problems, "schedule_id", draft.schedule_id)
    if draft.schedule_id in RESERVED:
        problems.add("schedule_id", f"{draft.schedule_id!r} is reserved; want another id")
    return _checked(draft, draft.schedule_id or generated_name("schedule"), now, problems)


def changed(
    schedule: Schedule, request: schedule_service_pb2.UpdateScheduleRequest, problems: Problems
) -> Schedule:
    """A schedule with the changes that a request asks for; notes what is wrong with them."""
    draft = request.schedule
    names = wire.changed(
        request.update_mask, draft, ("display_name", "time_zone", "layers", "team_id"), problems
    )
    wanted = _checked(draft, schedule.schedule_id, schedule.created_at, problems)
    return replace(schedule, **{name: getattr(wanted, name) for name in names})


def to_wire(schedule: Schedule) -> schedule_pb2.Schedule:
    """A schedule as its message."""
    message = schedule_pb2.Schedule(
        schedule_id=schedule.schedule_id,
        display_name=schedule.display_name,
        time_zone=schedule.time_zone,
        layers=[layer_to_wire(layer) for layer in schedule.layers],
        created_at=wire.timestamp(schedule.created_at),
        team_id=schedule.team_id,
    )
    message.etag = sha256(message.SerializeToString(deterministic=True)).hexdigest()[:32]
    return message


def check_etag(schedule: Schedule, request: schedule_service_pb2.UpdateScheduleRequest) -> None:
    """Raises Conflict when the request was made of another state of the schedule than this one."""
    if request.schedule.etag and request.schedule.etag != to_wire(schedule).etag:
        raise Conflict("the schedule has been changed; read it again", reason="ETAG_MISMATCH")


def _checked(
    draft: schedule_pb2.Schedule, schedule_id: str, created_at: datetime, problems: Problems
) -> Schedule:
    validation.text(problems, "display_name", draft.display_name, most=NAME_LENGTH)
    if draft.time_zone:
        validation.zone(problems, "time_zone", draft.time_zone)
    return Schedule(
        schedule_id=schedule_id,
        display_name=draft.display_name or schedule_id,
        time_zone=draft.time_zone or UTC_ZONE,
        layers=read_layers(draft.layers, problems),
        created_at=created_at,
        team_id=draft.team_id,
    )
