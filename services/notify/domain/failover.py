"""What follows when a way to a person has not worked: the next way, or nothing is left."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.notify.domain.patience import FAIL_OVER_AFTER
from services.notify.domain.route import RouteLog, Status

_REACHED = (Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED)


class FailOver(StrEnum):
    """What was decided about a person for an escalation step."""

    NEXT = "NEXT"
    """The next way is used now."""
    UNDER_WAY = "UNDER_WAY"
    """Another way is being tried."""
    REACHED = "REACHED"
    """Another way has worked."""
    EXHAUSTED = "EXHAUSTED"
    """There is no way left."""
    DECIDED = "DECIDED"
    """Another replica has decided meanwhile."""
    NOT_TRIED = "NOT_TRIED"
    """The way was never tried, since we were not there to: it gets its time now."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided: which way was given up, which is used instead, and which is to be looked at later, when."""

    outcome: FailOver
    given_up: tuple[RouteLog, ...] = ()
    used: RouteLog | None = None
    later: tuple[tuple[RouteLog, datetime], ...] = ()


def decide(
    step: Sequence[RouteLog], now: datetime, *, steady_since: datetime, quiet: Collection[UUID] = ()
) -> Decided:
    """What follows for one person and escalation step, given all their route logs of it.

    The inbox does not count: nobody is woken by it. Nor does what was skipped, cancelled, or could not be used now,
    since its method keeps `quiet`: it goes when that ends, and is not waited for. A way counts as given up when it has failed, or when its time to
    fail over has run out and it was tried, or could have been by us, who have run since `steady_since`.
    """
    ways = [
        route for route in step if route.is_way and not (_waits(route, now) and route.route_log_id in quiet)
    ]
    over = [route for route in step if route.fail_over_at is not None and route.fail_over_at <= now]
    if not over:
        return Decided(FailOver.DECIDED)
    fair = steady_since + FAIL_OVER_AFTER
    untried = [r for r in over if r.status is Status.PENDING and r.attempts == 0 and fair > now]
    if untried:
        return Decided(FailOver.NOT_TRIED, later=tuple((route, fair) for route in untried))
    left = [r for r in ways if r.status is Status.PENDING and r.failed_over_at is None and r not in over]
    outcome, used = _judged(ways, left, now)
    return Decided(outcome, given_up=tuple(over), used=used)


def _judged(
    ways: Sequence[RouteLog], left: Sequence[RouteLog], now: datetime
) -> tuple[FailOver, RouteLog | None]:
    if any(route.status in _REACHED for route in ways):
        return FailOver.REACHED, None
    waiting = [route for route in left if _waits(route, now)]
    if len(waiting) < len(left):
        return FailOver.UNDER_WAY, None
    if waiting:
        return FailOver.NEXT, min(waiting, key=lambda route: (route.due_at or now, route.route_log_id))
    return FailOver.EXHAUSTED, None


def _waits(route: RouteLog, now: datetime) -> bool:
    """Whether it was not tried and is not due."""
    return route.status is Status.PENDING and route.attempts == 0 and (route.due_at or now) > now
