"""Targets, budgets and breaches in protobuf."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta

from chassis import ids, outbox, validation, wire
from chassis.errors import Problems
from services.sla.domain.hours import BusinessHours, Hours
from services.sla.domain.matcher import MatcherError, parse
from services.sla.domain.target import Kind, Promise, State, Tally, Target
from tocsin.sla.v1 import events_pb2, sla_pb2, sla_service_pb2

SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
AT_RISK_SHARE, OBJECTIVE, WINDOW = 0.75, 0.99, 30 * DAY
"""What holds unless a target says otherwise."""
BURNING = (HOUR, 6 * HOUR, DAY, 3 * DAY)
"""The windows of burn rates."""
KINDS = {kind: sla_pb2.SlaBreach.Kind.Value(kind) for kind in Kind}
WEEKDAYS = {
    sla_pb2.BusinessWindow.Weekday.Value(name): day
    for day, name in enumerate(("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"))
}
NAMES = {day: value for value, day in WEEKDAYS.items()}
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


def new(request: sla_service_pb2.CreateSlaTargetRequest, now: datetime) -> Target:
    """The target that a request asks for. Raises Invalid naming every wrong field."""
    problems, draft = Problems(), request.target
    target_id = draft.target_id or ids.generated_name("target")
    validation.name(problems, "target_id", target_id)
    validation.text(problems, "display_name", draft.display_name, most=200)
    validation.text(problems, "request_id", request.request_id, most=128)
    validation.count(problems, "matchers", draft.matchers, most=20)
    for place, text in enumerate(draft.matchers):
        try:
            parse(text)
        except MatcherError as error:
            problems.add(f"matchers[{place}]", str(error))
    lengths = {name: wire.length(draft, name) for name in ("acknowledge_within", "resolve_within")}
    for name, length in lengths.items():
        validation.span(problems, name, length, least=SECOND, most=30 * DAY)
    if not any(lengths.values()):
        problems.add("acknowledge_within", "promises nothing; want it or resolve_within")
    window = wire.length(draft, "budget_window") or WINDOW
    validation.span(problems, "budget_window", window, least=HOUR, most=90 * DAY)
    target = Target(
        target_id=target_id,
        display_name=draft.display_name or target_id,
        matchers=tuple(draft.matchers),
        acknowledge_within=lengths["acknowledge_within"],
        resolve_within=lengths["resolve_within"],
        hours=_hours(draft, problems),
        at_risk_share=_share(problems, "at_risk_share", draft.at_risk_share, AT_RISK_SHARE),
        objective=_share(problems, "objective", draft.objective, OBJECTIVE),
        window=window,
        created_at=now,
    )
    if not problems.found:
        _check_runs(problems, target, now)
    problems.check()
    return target


def _check_runs(problems: Problems, target: Target, now: datetime) -> None:
    for kind, length in target.lengths.items():
        if target.after(now, length) is None:
            name = "acknowledge_within" if kind is Kind.ACKNOWLEDGE else "resolve_within"
            problems.add(name, "is not over in ten years of these business hours")


def _share(problems: Problems, path: str, value: float, default: float) -> float:
    share = value or default
    if not 0 < share < 1:
        problems.add(path, f"is {share:g}; want more than 0 and less than 1")
    return share


def _hours(draft: sla_pb2.SlaTarget, problems: Problems) -> BusinessHours | None:
    if not draft.HasField("business_hours"):
        return None
    hours = draft.business_hours
    zone = hours.time_zone or "UTC"
    validation.zone(problems, "business_hours.time_zone", zone)
    validation.count(problems, "business_hours.windows", hours.windows, least=1, most=20)
    windows = []
    for place, window in enumerate(hours.windows):
        path = f"business_hours.windows[{place}]"
        for number, day in enumerate(window.weekdays):
            if day not in WEEKDAYS:
                problems.add(f"{path}.weekdays[{number}]", f"{day} is not a weekday; want MON to SUN")
        windows.append(
            Hours(
                frozenset(WEEKDAYS[day] for day in window.weekdays if day in WEEKDAYS),
                _time(problems, f"{path}.start_time", window.start_time),
                _time(problems, f"{path}.end_time", window.end_time),
            )
        )
    return BusinessHours(zone, tuple(windows))


def _time(problems: Problems, path: str, text: str) -> time:
    if not _TIME.fullmatch(text):
        problems.add(path, f"{text[:64]!r} is not a time of day; want HH:MM, like 09:00")
        return time()
    return time.fromisoformat(text)


def target_message(target: Target) -> sla_pb2.SlaTarget:
    """The target as it is answered."""
    return sla_pb2.SlaTarget(
        target_id=target.target_id,
        display_name=target.display_name,
        matchers=target.matchers,
        acknowledge_within=wire.duration(target.acknowledge_within),
        resolve_within=wire.duration(target.resolve_within),
        created_at=wire.timestamp(target.created_at),
        business_hours=None if target.hours is None else _hours_message(target.hours),
        at_risk_share=target.at_risk_share,
        objective=target.objective,
        budget_window=wire.duration(target.window),
    )


def _hours_message(hours: BusinessHours) -> sla_pb2.BusinessHours:
    return sla_pb2.BusinessHours(
        time_zone=hours.time_zone,
        windows=[
            sla_pb2.BusinessWindow(
                weekdays=[NAMES[day] for day in sorted(window.weekdays)],
                start_time=f"{window.start_time:%H:%M}",
                end_time=f"{window.end_time:%H:%M}",
            )
            for window in hours.windows
        ],
    )


def budget_message(
    target: Target, tallies: Mapping[Kind, Sequence[Tally]], now: datetime
) -> sla_pb2.SlaBudget:
    """How a target stands; the first tally of each kind is of its window, the others are of BURNING."""
    budget = sla_pb2.SlaBudget(
        target_id=target.target_id,
        start=wire.timestamp(now - target.window),
        end=wire.timestamp(now),
        objective=target.objective,
    )
    for kind, figures, rates in (
        (Kind.ACKNOWLEDGE, budget.acknowledge, budget.acknowledge_burn_rates),
        (Kind.RESOLVE, budget.resolve, budget.resolve_burn_rates),
    ):
        if kind in target.lengths:
            whole, *shorter = tallies.get(kind) or [Tally()] * (1 + len(BURNING))
            figures.CopyFrom(_figures(whole, target.objective))
            for window, tally in zip(BURNING, shorter, strict=True):
                rates.append(
                    sla_pb2.BurnRate(
                        window=wire.duration(window), burn_rate=tally.burn_rate(target.objective)
                    )
                )
    return budget


def _figures(tally: Tally, objective: float) -> sla_pb2.BudgetFigures:
    return sla_pb2.BudgetFigures(
        made=tally.made,
        kept=tally.kept,
        broken=tally.broken,
        share=tally.share,
        budget_left=tally.left(objective),
        burn_rate=tally.burn_rate(objective),
    )


def breach_message(promise: Promise) -> sla_pb2.SlaBreach:
    """A promise as breaches and events tell of it; one that is not broken yet says when it will be."""
    return sla_pb2.SlaBreach(
        target_id=promise.target_id,
        alert_id=str(promise.alert_id),
        kind=KINDS[promise.kind],
        breached_at=wire.timestamp(promise.due_at),
        settled_at=wire.timestamp(promise.settled_at),
        retracted=promise.state is State.KEPT,
    )


def event(promise: Promise, now: datetime) -> outbox.Event:
    """What has become of a promise: it is at risk, or broken."""
    breach, at = breach_message(promise), wire.timestamp(now)
    broken = promise.state is State.BREACHED
    message = (events_pb2.SlaBreachedEvent if broken else events_pb2.SlaAtRiskEvent)(breach=breach, at=at)
    return outbox.Event(
        type="sla.breached" if broken else "sla.at_risk",
        subject=str(promise.alert_id),
        data=message.SerializeToString(),
        at=now,
    )
