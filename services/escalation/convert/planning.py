"""Previews of escalations: protobuf to the domain's values, checked, and back."""

from datetime import datetime
from uuid import UUID

from chassis import ids, validation, wire
from chassis.errors import Problems
from services.escalation.convert.alerts import REASONS, severities
from services.escalation.domain.alert import Report, Severity
from services.escalation.domain.outlook import Planned, QuietTime
from tocsin.escalation.v1 import policy_service_pb2

FIELDS = ("policy_id", "labels", "severity", "source", "title", "start")


def alert_of(request: policy_service_pb2.PreviewEscalationPolicyRequest) -> UUID | None:
    """The alert whose escalation is previewed; None for one that is only thought of.

    Raises Invalid naming every field that makes no sense beside an alert.
    """
    if not request.alert_id:
        return None
    problems = Problems()
    given = {descriptor.name for descriptor, _ in request.ListFields()}
    for name in FIELDS:
        if name in given:
            problems.add(name, "is for an alert that is only thought of; want it without alert_id")
    problems.check()
    return ids.parse_uuid(request.alert_id, "alert_id")


def report(request: policy_service_pb2.PreviewEscalationPolicyRequest) -> tuple[Report, datetime | None]:
    """The alert that is thought of, of MEDIUM severity unless it says otherwise, and when it opens.

    Raises Invalid naming every wrong field.
    """
    problems = Problems()
    start = wire.instant(request, "start")
    if start is not None and not validation.EARLIEST <= start < validation.LATEST:
        problems.add("start", "is out of range; want a time between 1970 and 2200")
    wrong = Problems()
    found = severities([request.severity] if request.severity else [], wrong)
    for field in wrong.found:
        problems.add("severity", field.description)
    validation.text(problems, "source", request.source, most=1024)
    validation.text(problems, "title", request.title, most=1024)
    validation.labels(problems, "labels", request.labels)
    if request.policy_id:
        validation.name(problems, "policy_id", request.policy_id)
    problems.check()
    severity = found[0] if found else Severity.MEDIUM
    return Report(request.title, "", severity, request.source, "", dict(request.labels)), start


def page_message(planned: Planned) -> policy_service_pb2.PlannedPage:
    """A page as it is answered."""
    step = planned.execution
    return policy_service_pb2.PlannedPage(
        at=wire.timestamp(step.at),
        level=step.level,
        reason=REASONS[step.reason],
        targets=step.targets,
        recipients=step.recipients,
        round=planned.round,
        catch_all=step.catch_all,
    )


def quiet_time_message(time: QuietTime) -> policy_service_pb2.QuietTime:
    """A stretch of quiet as it is answered."""
    parent = time.quiet.parent_alert_id
    return policy_service_pb2.QuietTime(
        suppressed_by=time.quiet.by,
        parent_alert_id=str(parent) if parent else "",
        starts_at=wire.timestamp(time.starts_at),
        ends_at=wire.timestamp(time.ends_at),
    )
