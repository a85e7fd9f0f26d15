"""Responders in protobuf."""

from dataclasses import replace
from datetime import datetime

from chassis import validation, wire
from chassis.errors import Problems
from chassis.ids import generated_name
from services.roster.domain.responder import Responder
from tocsin.roster.v1 import responder_pb2, responder_service_pb2

NAME_LENGTH = 200
REQUEST_ID_LENGTH = 128
UTC_ZONE = "UTC"


def new(
    request: responder_service_pb2.CreateResponderRequest, now: datetime, problems: Problems
) -> Responder:
    """The responder that a request asks for, with defaults; notes what is wrong with it."""
    validation.text(problems, "request_id", request.request_id, most=REQUEST_ID_LENGTH)
    draft = request.responder
    if draft.responder_id:
        validation.name(problems, "responder_id", draft.responder_id)
    return _checked(draft, draft.responder_id or generated_name("responder"), now, problems)


def changed(
    responder: Responder, request: responder_service_pb2.UpdateResponderRequest, problems: Problems
) -> Responder:
    """A responder with the changes that a request asks for; notes what is wrong with them."""
    draft = request.responder
    names = wire.changed(request.update_mask, draft, ("display_name", "time_zone"), problems)
    wanted = _checked(draft, responder.responder_id, responder.created_at, problems)
    return replace(responder, **{name: getattr(wanted, name) for name in names})


def to_wire(responder: Responder) -> responder_pb2.Responder:
    """A responder as its message."""
    return responder_pb2.Responder(
        responder_id=responder.responder_id,
        display_name=responder.display_name,
        time_zone=responder.time_zone,
        created_at=wire.timestamp(responder.created_at),
    )


def _checked(
    draft: responder_pb2.Responder, responder_id: str, created_at: datetime, problems: Problems
) -> Responder:
    validation.text(problems, "display_name", draft.display_name, most=NAME_LENGTH)
    if draft.time_zone:
        validation.zone(problems, "time_zone", draft.time_zone)
    return Responder(
        responder_id, draft.display_name or responder_id, draft.time_zone or UTC_ZONE, created_at
    )
