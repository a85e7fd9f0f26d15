"""Figures and facts to answers, each number with the query that explains it."""

from collections import Counter
from urllib.parse import urlencode

from chassis import wire
from services.sla.domain.fact import Fact
from services.sla.domain.figures import Counted, Filter, Overview, Statistics, Window
from tocsin.escalation.v1 import alert_pb2
from tocsin.sla.v1 import sla_pb2, sla_service_pb2

FACTS = "/api/alert/sla/facts"
EXPLAINED = {
    "total_alerts": Counted.TOTAL,
    "acked_alerts": Counted.ACKED,
    "closed_alerts": Counted.CLOSED,
    "timeout_escalated_alerts": Counted.TIMEOUT_ESCALATED,
    "timeout_escalation_rate": Counted.TIMEOUT_ESCALATED,
    "mtta_seconds": Counted.ACKED,
    "mttr_seconds": Counted.CLOSED,
    "suppressed_alerts": Counted.SUPPRESSED,
    "noise_suppressed_alerts": Counted.NOISE_SUPPRESSED,
    "paged_alerts": Counted.PAGED,
    "first_page_seconds": Counted.PAGED,
    "open_unacked_age": Counted.UNACKED,
    "reopenings": Counted.REOPENED,
}
"""The alerts that are behind each number of an overview."""
COUNTED = {sla_service_pb2.ListAlertFactsRequest.Counted.Value(counted): counted for counted in Counted}


def overview_message(window: Window, figures: Overview, wanted: Filter) -> sla_pb2.Overview:
    """The figures of a period as they are answered."""
    unacked = figures.unacked
    return sla_pb2.Overview(
        start=wire.timestamp(window.start),
        end=wire.timestamp(window.end),
        total_alerts=figures.total_alerts,
        acked_alerts=figures.acked_alerts,
        closed_alerts=figures.closed_alerts,
        timeout_escalated_alerts=figures.timeout_escalated_alerts,
        timeout_escalation_rate=figures.timeout_escalation_rate,
        mtta_seconds=_statistics(figures.mtta),
        mttr_seconds=_statistics(figures.mttr),
        suppressed_alerts=figures.suppressed_alerts,
        noise_suppressed_alerts=figures.noise_suppressed_alerts,
        paged_alerts=figures.paged_alerts,
        first_page_seconds=_statistics(figures.first_page),
        open_unacked_age=sla_pb2.OpenAge(alerts=unacked.alerts, avg=unacked.avg, max=unacked.max),
        reopenings=figures.reopenings,
        explain=explanations(window, wanted),
    )


def explanations(window: Window, wanted: Filter) -> dict[str, str]:
    """For each number the path of the query that lists the alerts behind it."""
    asked = [
        ("start", window.start.isoformat().replace("+00:00", "Z")),
        ("end", window.end.isoformat().replace("+00:00", "Z")),
        *(("severity", severity) for severity in sorted(wanted.severities)),
        ("policy_id", wanted.policy_id),
        ("source", wanted.source),
        ("schedule_id", wanted.schedule_id),
        ("responder_id", wanted.responder_id),
        *(("label", f"{name}={value}") for name, value in wanted.labels),
    ]
    query = urlencode([(name, value) for name, value in asked if value])
    return {number: f"{FACTS}?{query}&counted={counted}" for number, counted in EXPLAINED.items()}


def point_message(window: Window, figures: Overview, wanted: Filter) -> sla_pb2.TimeSeriesPoint:
    """One step of a time series as it is answered."""
    return sla_pb2.TimeSeriesPoint(
        start=wire.timestamp(window.start), overview=overview_message(window, figures, wanted)
    )


def fact_message(fact: Fact) -> sla_pb2.AlertFact:
    """What is known of an alert as it is answered."""
    return sla_pb2.AlertFact(
        alert_id=str(fact.alert_id),
        title=fact.title,
        severity=alert_pb2.Severity.Value.Value(fact.severity),
        policy_id=fact.policy_id,
        source=fact.source,
        labels=fact.labels,
        opened_at=wire.timestamp(fact.opened_at),
        first_paged_at=wire.timestamp(fact.first_paged_at),
        acked_at=wire.timestamp(fact.acked_at),
        acked_by=fact.acked_by,
        closed_at=wire.timestamp(fact.closed_at),
        closed_by=fact.closed_by,
        opened=fact.opened,
        suppressed=fact.suppressed,
        noise_suppressed=fact.noise_suppressed,
        timeout_escalated=fact.timeout_escalated,
        escalations=Counter(fact.escalations.values()),
        schedule_ids=sorted(fact.schedules),
        responder_ids=sorted(fact.responders),
        told=sorted(fact.told),
        reopenings=len(fact.reopenings),
    )


def _statistics(figures: Statistics) -> sla_pb2.DurationStatistics:
    return sla_pb2.DurationStatistics(avg=figures.avg, p50=figures.p50, p90=figures.p90, p99=figures.p99)
