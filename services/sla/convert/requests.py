"""Requests to periods, filters and steps, checked."""

from datetime import datetime, timedelta
from itertools import islice
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from google.protobuf.message import Message

from chassis import validation, wire
from chassis.errors import Problems
from services.sla.convert.figures import COUNTED
from services.sla.domain.figures import Counted, Filter, Window
from services.sla.domain.steps import Step, divided
from tocsin.escalation.v1 import alert_pb2
from tocsin.sla.v1 import report_service_pb2, sla_service_pb2

PERIOD = timedelta(days=30)
"""How long a period is whose start is left out."""
MOST_STEPS = 1_000
"""Points of a time series."""


def window(message: Message, *, now: datetime, problems: Problems) -> Window:
    """The period that a request names, by default the 30 days until now."""
    end = wire.instant(message, "end") or now
    start = wire.instant(message, "start") or end - PERIOD
    validation.interval(problems, start, end, names=("start", "end"))
    return Window(start, end)


Asked: TypeAlias = (
    sla_service_pb2.GetOverviewRequest
    | sla_service_pb2.GetTimeSeriesRequest
    | sla_service_pb2.ListAlertFactsRequest
    | report_service_pb2.ComparePeriodsRequest
    | report_service_pb2.ExportAlertFactsRequest
    | report_service_pb2.ExportTimeSeriesRequest
)
"""The requests that filter alerts."""


def filter_of(message: Asked, *, problems: Problems) -> Filter:
    """The alerts that a request asks for."""
    wanted = severities(message, problems=problems)
    validation.text(problems, "policy_id", message.policy_id, most=63)
    validation.text(problems, "source", message.source, most=1024)
    validation.text(problems, "schedule_id", message.schedule_id, most=63)
    validation.text(problems, "responder_id", message.responder_id, most=63)
    return Filter(
        severities=wanted.severities,
        policy_id=message.policy_id,
        source=message.source,
        schedule_id=message.schedule_id,
        responder_id=message.responder_id,
        labels=_labels(message, problems),
    )


def severities(message: Any, *, problems: Problems) -> Filter:
    """The alerts of the severities that a request names; one that is not given stands for any."""
    known = alert_pb2.Severity.Value.values()
    for place, number in enumerate(message.severity):
        if number not in known:
            problems.add(
                f"severity[{place}]", f"{number} is not a severity; want CRITICAL, HIGH, MEDIUM, LOW or INFO"
            )
    if 0 in message.severity:
        return Filter()
    named = {alert_pb2.Severity.Value.Name(number) for number in message.severity if number in known}
    return Filter(severities=frozenset(named))


def counted(
    message: sla_service_pb2.ListAlertFactsRequest | report_service_pb2.ExportAlertFactsRequest,
    *,
    problems: Problems,
) -> Counted | None:
    """The number whose alerts a request asks for; None for all."""
    if message.counted and message.counted not in COUNTED:
        problems.add("counted", f"{message.counted} is not a number; want one of {', '.join(Counted)}")
    return COUNTED.get(message.counted)


def _labels(message: Asked, problems: Problems) -> tuple[tuple[str, str], ...]:
    validation.count(problems, "label", message.label, most=20)
    found: dict[str, str] = {}
    for place, text in enumerate(message.label):
        name, equals, value = text.partition("=")
        if not name or not equals:
            problems.add(f"label[{place}]", f"{text[:64]!r} is not a label; want name=value, like team=db")
        elif found.setdefault(name, value) != value:
            problems.add(f"label[{place}]", f"{name[:64]!r} cannot have two values")
        validation.text(problems, f"label[{place}]", text, most=1153)
    return tuple(sorted(found.items()))


Series: TypeAlias = sla_service_pb2.GetTimeSeriesRequest | report_service_pb2.ExportTimeSeriesRequest


def divided_by(message: Series, window: Window, *, problems: Problems) -> list[Window]:
    """The steps of the period that a request asks for; a wrong request has some, too, and is not answered."""
    step, zone = steps(message, problems=problems)
    if problems.found:
        return [window]
    windows = list(islice(divided(window, step, ZoneInfo(zone)), MOST_STEPS + 1))
    if len(windows) > MOST_STEPS:
        problems.add("step", f"{step} makes more than {MOST_STEPS} points of this period; want a longer one")
    return windows


def steps(message: Series, *, problems: Problems) -> tuple[Step, str]:
    """How a request wants its period divided, and the name of the zone: by default into days of UTC."""
    kinds = sla_service_pb2.GetTimeSeriesRequest.Step
    known = {kinds.Value(step): step for step in Step} | {kinds.Value("STEP_UNSPECIFIED"): Step.DAY}
    if message.step not in known:
        problems.add("step", f"{message.step} is not a step; want HOUR, DAY or WEEK")
    zone = message.time_zone or "UTC"
    validation.zone(problems, "time_zone", zone)
    return known.get(message.step, Step.DAY), zone
