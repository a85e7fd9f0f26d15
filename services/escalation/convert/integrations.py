"""Integrations: protobuf to the domain's values, checked, and back."""

from dataclasses import replace
from datetime import datetime, timedelta

from google.protobuf.field_mask_pb2 import FieldMask

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.domain.integration import GRACE, LONGEST, Flapping, Integration, check_integration
from tocsin.escalation.v1 import integration_pb2, integration_service_pb2

FIELDS = frozenset({"display_name", "policy_id", "labels", "auto_close_after", "flapping", "team_id"})
FIXED = frozenset({"integration_id", "routing_key", "created_at", "previous_key_expires_at"})


def integration(
    message: integration_pb2.Integration, *, request_id: str, routing_key_sha256: bytes, now: datetime
) -> Integration:
    """The new integration that a request describes.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    validation.text(problems, "request_id", request_id, most=128)
    integration_id = message.integration_id or ids.generated_name("integration")
    made = Integration(
        integration_id=integration_id,
        display_name=message.display_name or integration_id,
        policy_id=message.policy_id,
        labels=dict(message.labels),
        routing_key_sha256=routing_key_sha256,
        created_at=now,
        auto_close_after=_auto_close_after(message),
        flapping=_flapping(message),
        team_id=message.team_id,
    )
    check_integration(made, problems)
    problems.check()
    return made


def changed_integration(
    old: Integration, message: integration_pb2.Integration, mask: FieldMask
) -> Integration:
    """The integration after a PATCH; fields that nobody can change are passed over.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    named = wire.changed(mask, message, FIELDS | FIXED, problems) & FIELDS
    values = {
        "display_name": message.display_name or old.integration_id,
        "policy_id": message.policy_id,
        "labels": dict(message.labels),
        "auto_close_after": _auto_close_after(message),
        "flapping": _flapping(message),
        "team_id": message.team_id,
    }
    made = replace(old, **{name: values[name] for name in named})  # type: ignore[arg-type]
    check_integration(made, problems)
    problems.check()
    return made


def _auto_close_after(message: integration_pb2.Integration) -> timedelta | None:
    return wire.length(message, "auto_close_after") or None


def _flapping(message: integration_pb2.Integration) -> Flapping | None:
    if not message.HasField("flapping"):
        return None
    window = wire.length(message.flapping, "window") or timedelta()
    stable_after = wire.length(message.flapping, "stable_after")
    return Flapping(message.flapping.threshold, window, window if stable_after is None else stable_after)


def grace(request: integration_service_pb2.RotateIntegrationKeyRequest) -> timedelta:
    """For how long the present key goes on working. Raises Invalid."""
    problems = Problems()
    asked = wire.length(request, "grace")
    validation.span(problems, "grace", asked, least=timedelta(), most=LONGEST)
    problems.check()
    return GRACE if asked is None else asked


def integration_message(
    integration: Integration, now: datetime, *, routing_key: str = ""
) -> integration_pb2.Integration:
    """The integration as it is answered at `now`, with its key only where one is given."""
    until = integration.previous_key_expires_at
    return integration_pb2.Integration(
        integration_id=integration.integration_id,
        display_name=integration.display_name,
        policy_id=integration.policy_id,
        routing_key=routing_key,
        labels=integration.labels,
        created_at=wire.timestamp(integration.created_at),
        auto_close_after=wire.duration(integration.auto_close_after),
        flapping=_flapping_message(integration.flapping),
        previous_key_expires_at=wire.timestamp(until) if until and now < until else None,
        team_id=integration.team_id,
    )


def _flapping_message(flapping: Flapping | None) -> integration_pb2.Flapping | None:
    if flapping is None:
        return None
    return integration_pb2.Flapping(
        threshold=flapping.threshold,
        window=wire.duration(flapping.window),
        stable_after=wire.duration(flapping.stable_after),
    )
