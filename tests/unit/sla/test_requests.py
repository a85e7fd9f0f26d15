"""What a request asks for: periods with their defaults, filters, and every wrong field named."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis import wire
from chassis.errors import Problems
from services.sla.convert import figures, requests
from services.sla.domain.figures import Filter, Overview, Statistics, Window
from services.sla.domain.steps import Step
from tocsin.escalation.v1.alert_pb2 import Severity
from tocsin.sla.v1.sla_service_pb2 import GetOverviewRequest, GetTimeSeriesRequest

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("start", "end", "window"),
    [
        (None, None, Window(NOW - 30 * DAY, NOW)),
        (NOW - DAY, None, Window(NOW - DAY, NOW)),
        (None, NOW - DAY, Window(NOW - 31 * DAY, NOW - DAY)),
        (NOW - 2 * DAY, NOW - DAY, Window(NOW - 2 * DAY, NOW - DAY)),
    ],
)
def test_periods(start: datetime | None, end: datetime | None, window: Window) -> None:
    """The 30 days until now, unless it says otherwise."""
    problems = Problems()
    request = GetOverviewRequest(start=wire.timestamp(start), end=wire.timestamp(end))
    assert requests.window(request, now=NOW, problems=problems) == window
    assert not problems.found


@pytest.mark.parametrize(
    ("start", "end", "paths"),
    [
        (NOW, NOW, ["end"]),
        (NOW, NOW - DAY, ["end"]),
        (NOW + DAY, None, ["end"]),
        (datetime(1960, 1, 1, tzinfo=UTC), None, ["start"]),
        (NOW, datetime(2300, 1, 1, tzinfo=UTC), ["end"]),
    ],
)
def test_periods_that_are_none(start: datetime, end: datetime | None, paths: list[str]) -> None:
    """Empty, backwards or beyond what can be stored."""
    problems = Problems()
    request = GetOverviewRequest(start=wire.timestamp(start), end=wire.timestamp(end))
    requests.window(request, now=NOW, problems=problems)
    assert [found.path for found in problems.found] == paths


def test_filters() -> None:
    """A severity that is not given stands for any."""
    problems = Problems()
    request = GetOverviewRequest(
        severity=[Severity.CRITICAL, Severity.LOW], policy_id="default", source="prometheus"
    )
    wanted = requests.filter_of(request, problems=problems)
    assert wanted == Filter(frozenset({"CRITICAL", "LOW"}), "default", "prometheus")
    request.severity.append(Severity.VALUE_UNSPECIFIED)
    assert requests.filter_of(request, problems=problems).severities == frozenset()
    assert requests.filter_of(GetOverviewRequest(), problems=problems) == Filter()
    assert not problems.found


def test_every_wrong_filter_is_named() -> None:
    """By its place."""
    problems = Problems()
    request = GetOverviewRequest(severity=[Severity.LOW, 9], policy_id="x" * 64, source="x" * 1025)  # type: ignore[list-item]
    requests.filter_of(request, problems=problems)
    assert [found.path for found in problems.found] == ["severity[1]", "policy_id", "source"]


def test_steps_are_days_of_utc() -> None:
    """Unless it says otherwise."""
    problems = Problems()
    assert requests.steps(GetTimeSeriesRequest(), problems=problems) == (Step.DAY, "UTC")
    request = GetTimeSeriesRequest(step=GetTimeSeriesRequest.Step.WEEK, time_zone="Europe/Berlin")
    assert requests.steps(request, problems=problems) == (Step.WEEK, "Europe/Berlin")
    assert not problems.found
    requests.steps(GetTimeSeriesRequest(step=9, time_zone="Mars"), problems=problems)  # type: ignore[arg-type]
    assert [found.path for found in problems.found] == ["step", "time_zone"]


def test_what_is_not_known_is_left_out() -> None:
    """No alert: the rate is 0, and of the times only the message is there."""
    answer = figures.overview_message(Window(NOW - DAY, NOW), Overview(), Filter())
    assert (answer.total_alerts, answer.timeout_escalation_rate) == (0, 0)
    assert answer.HasField("mtta_seconds")
    assert not any(answer.mtta_seconds.HasField(name) for name in ("avg", "p50", "p90", "p99"))


def test_what_is_known_is_answered() -> None:
    """The rate is the share of all alerts."""
    found = Overview(total_alerts=4, timeout_escalated_alerts=1, mttr=Statistics(1.0, 2.0, 3.0, 4.0))
    answer = figures.overview_message(Window(NOW - DAY, NOW), found, Filter())
    assert answer.timeout_escalation_rate == 0.25
    assert answer.mttr_seconds.p99 == 4.0
    assert (wire.instant(answer, "start"), wire.instant(answer, "end")) == (NOW - DAY, NOW)
