"""Reports to answers and files."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format
from google.protobuf.message import Message

from chassis.errors import Problems
from services.sla.convert.figures import fact_message, overview_message
from services.sla.domain import sheet
from services.sla.domain.fact import Fact
from services.sla.domain.figures import Filter, Overview, Statistics, Window
from services.sla.domain.reports import Load, Noise
from tocsin.sla.v1 import report_service_pb2

Format = report_service_pb2.ExportFormat
CSV, JSON = "text/csv; charset=utf-8", "application/x-ndjson"

FACT_COLUMNS = (
    "alert_id", "title", "severity", "policy_id", "source", "opened_at", "first_paged_at", "acked_at", "acked_by",
    "closed_at", "closed_by", "opened", "suppressed", "noise_suppressed", "timeout_escalated", "reopenings",
    "escalations", "schedules", "responders", "told", "labels",
)  # fmt: skip
SERIES_COLUMNS = (
    "start", "end", "total_alerts", "acked_alerts", "closed_alerts", "timeout_escalated_alerts",
    "timeout_escalation_rate", "suppressed_alerts", "noise_suppressed_alerts", "paged_alerts", "reopenings",
    *(f"{time}_{share}" for time in ("mtta_seconds", "mttr_seconds", "first_page_seconds")
      for share in ("avg", "p50", "p90", "p99")),
)  # fmt: skip


def limit(asked: int, problems: Problems) -> int:
    """How many sources are wanted: 10 unless it says otherwise."""
    if not 0 <= asked <= 100:
        problems.add("limit", f"is {asked}; want 1 to 100")
    return asked or 10


def form(asked: Format.Value.ValueType, problems: Problems) -> Format.Value.ValueType:
    """The form of a file: CSV unless it says otherwise."""
    if asked not in (Format.VALUE_UNSPECIFIED, Format.CSV, Format.JSON):
        problems.add("format", f"{asked} is not a format; want CSV or JSON")
    return asked or Format.CSV


def noise_message(noise: Noise) -> report_service_pb2.NoisySource:
    """A source as it is answered."""
    return report_service_pb2.NoisySource(
        source=noise.source,
        total_alerts=noise.total,
        timeout_escalated_alerts=noise.timeout_escalated,
        suppressed_alerts=noise.suppressed,
        noise_suppressed_alerts=noise.noise_suppressed,
        unacked_alerts=noise.unacked,
    )


def load_message(load: Load) -> report_service_pb2.ResponderLoad:
    """A load as it is answered."""
    return report_service_pb2.ResponderLoad(
        responder_id=load.responder_id,
        pages=load.pages,
        night_pages=load.night_pages,
        weekend_pages=load.weekend_pages,
        nights_disturbed=load.nights_disturbed,
        alerts=load.alerts,
    )


def facts_file(facts: Sequence[Fact], form: Format.Value.ValueType, *, names: bool) -> HttpBody:
    """A piece of a file of facts; `names` are for the first one of a CSV."""
    if form == Format.JSON:
        return HttpBody(content_type=JSON, data=_json_lines([fact_message(fact) for fact in facts]))
    rows = [*([FACT_COLUMNS] if names else []), *map(_fact_row, facts)]
    return HttpBody(content_type=CSV, data=sheet.lines(rows).encode())


def series_file(
    windows: Sequence[Window], found: Sequence[Overview], wanted: Filter, form: Format.Value.ValueType
) -> HttpBody:
    """A time series as a file."""
    if form == Format.JSON:
        messages = [overview_message(*pair, wanted) for pair in zip(windows, found, strict=True)]
        return HttpBody(content_type=JSON, data=_json_lines(messages))
    rows = [SERIES_COLUMNS, *map(_series_row, windows, found)]
    return HttpBody(content_type=CSV, data=sheet.lines(rows).encode())


def _json_lines(messages: Sequence[Message]) -> bytes:
    lines = (
        json_format.MessageToJson(
            message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
        )
        for message in messages
    )
    return "".join(f"{line}\n" for line in lines).encode()


def _fact_row(fact: Fact) -> list[object]:
    return [
        str(fact.alert_id), fact.title, fact.severity, fact.policy_id, fact.source, _at(fact.opened_at),
        _at(fact.first_paged_at), _at(fact.acked_at), fact.acked_by, _at(fact.closed_at), fact.closed_by,
        *(_yes(value) for value in (fact.opened, fact.suppressed, fact.noise_suppressed, fact.timeout_escalated)),
        len(fact.reopenings), " ".join(sorted(fact.escalations.values())), " ".join(sorted(fact.schedules)),
        " ".join(sorted(fact.responders)), " ".join(sorted(fact.told)), _labels(fact.labels),
    ]  # fmt: skip


def _labels(labels: Mapping[str, str]) -> str:
    return json.dumps(dict(sorted(labels.items())), ensure_ascii=False) if labels else ""


def _series_row(window: Window, found: Overview) -> list[object]:
    return [
        _at(window.start), _at(window.end), found.total_alerts, found.acked_alerts, found.closed_alerts,
        found.timeout_escalated_alerts, found.timeout_escalation_rate, found.suppressed_alerts,
        found.noise_suppressed_alerts, found.paged_alerts, found.reopenings,
        *_shares(found.mtta), *_shares(found.mttr), *_shares(found.first_page),
    ]  # fmt: skip


def _shares(statistics: Statistics) -> tuple[float | None, ...]:
    return statistics.avg, statistics.p50, statistics.p90, statistics.p99


def _at(at: datetime | None) -> str:
    return "" if at is None else at.isoformat().replace("+00:00", "Z")


def _yes(value: bool) -> str:
    return "true" if value else "false"
