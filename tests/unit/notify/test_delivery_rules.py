"""What follows from an attempt: sent, tried again later, or failed; and when a person cannot be reached at all."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Channel, Severity
from services.notify.domain.decision import Decision
from services.notify.domain.delivery import (
    Claimed,
    Parcel,
    Rejected,
    Retry,
    Sent,
    hushed,
    outcome,
    unsendable,
)
from services.notify.domain.patience import FAIL_OVER_AFTER, LONGEST_ASKED, PATIENCE, SHORTEST_PAUSE
from services.notify.domain.quiet_hours import QuietHours
from services.notify.domain.route import Kind, RouteLog, Status
from services.notify.domain.vault import Kept

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_route(
    status: Status = Status.PENDING, channel: Channel = Channel.WEBHOOK, attempts: int = 1
) -> RouteLog:
    return RouteLog(
        route_log_id=UUID(int=1),
        execution_id=UUID(int=2),
        alert_id=UUID(int=3),
        responder_id="alice",
        channel=channel,
        contact_method_id="hook",
        address="https://example.org",
        status=status,
        attempts=attempts,
        last_error="",
        created_at=NOW,
        sent_at=None,
        read_at=None,
        due_at=NOW,
        expires_at=NOW + timedelta(hours=24),
        position=None,
        decision=Decision.PLANNED,
        delay=timedelta(),
        fail_over_at=None,
        failed_over_at=None,
    )


def a_claim(route: RouteLog, *, enabled: bool | None = True, why: str = "") -> Claimed:
    return Claimed(
        route=route,
        alert=b"",
        reason="INITIAL",
        level=1,
        accepted_at=NOW,
        enabled=enabled,
        disabled_reason=why,
        kept=Kept("", ""),
        severity=Severity.HIGH,
        bundle_window=timedelta(),
        per_minute=0,
        news="",
    )


def test_sent_is_done() -> None:
    route = outcome(a_route(), Sent(), NOW, jitter=0).route
    assert (route.status, route.sent_at, route.due_at) == (Status.SENT, NOW, None)


def test_a_retry_waits_with_its_reason() -> None:
    route = outcome(a_route(), Retry("HTTP 500"), NOW, jitter=1).route
    assert (route.status, route.last_error, route.due_at) == (
        Status.PENDING,
        "HTTP 500",
        NOW + PATIENCE[Channel.WEBHOOK].first,
    )


def test_a_rejection_fails_and_may_disable_the_method() -> None:
    gone = outcome(a_route(), Rejected("HTTP 410", disable=True), NOW, jitter=0)
    assert (gone.route.status, gone.route.last_error, gone.disable) == (Status.FAILED, "HTTP 410", "HTTP 410")
    assert outcome(a_route(), Rejected("no secret"), NOW, jitter=0).disable == ""


def test_trying_ends_after_a_day() -> None:
    late = NOW + timedelta(hours=24) - timedelta(milliseconds=100)
    route = outcome(a_route(attempts=9), Retry("HTTP 500"), late, jitter=0).route
    assert route.status is Status.FAILED
    assert route.last_error == "given up after 9 attempts: HTTP 500"


def test_an_endless_reason_is_cut() -> None:
    assert len(outcome(a_route(), Retry("x" * 10_000), NOW, jitter=0).route.last_error) == 1_000


@given(st.sampled_from(Channel), st.integers(1, 10_000), st.floats(0, 1), st.integers(0, 86_400))
def test_pauses_grow_within_bounds_and_never_undercut_what_was_asked(
    channel: Channel, n: int, jitter: float, asked: int
) -> None:
    patience = PATIENCE[channel]
    alone = patience.pause(n, None, jitter=jitter)
    assert SHORTEST_PAUSE <= alone <= patience.longest
    assert patience.pause(n + 1, None, jitter=jitter) >= alone
    wanted = min(timedelta(seconds=asked), LONGEST_ASKED)
    assert patience.pause(n, timedelta(seconds=asked), jitter=jitter) == max(alone, wanted)


def test_the_jitter_is_full() -> None:
    """What failed together spreads over the whole pause: half a pause would still come in a wave."""
    pauses = [PATIENCE[Channel.WEBHOOK].pause(8, None, jitter=n / 10) for n in range(11)]
    assert pauses == sorted(set(pauses))
    assert (pauses[0], pauses[-1]) == (SHORTEST_PAUSE, timedelta(seconds=128))


def test_a_retry_that_would_come_too_late_fails_over_at_once() -> None:
    late = NOW + timedelta(seconds=30)
    waiting = replace(a_route(), fail_over_at=late)
    assert outcome(waiting, Retry("HTTP 500"), NOW, jitter=1).route.fail_over_at == late
    asked = Retry("HTTP 429", after=timedelta(minutes=5))
    assert outcome(waiting, asked, NOW, jitter=0).route.fail_over_at == NOW
    over = replace(a_route(), failed_over_at=NOW)
    assert outcome(over, asked, NOW, jitter=0).route.fail_over_at is None


def test_what_failed_fails_over_at_once_and_once() -> None:
    assert outcome(a_route(), Rejected("HTTP 410"), NOW, jitter=0).route.fail_over_at == NOW
    given_up = replace(a_route(), failed_over_at=NOW)
    assert outcome(given_up, Rejected("HTTP 410"), NOW, jitter=0).route.fail_over_at is None
    waiting = replace(a_route(), fail_over_at=NOW + timedelta(seconds=30))
    assert outcome(waiting, Sent(), NOW, jitter=0).route.fail_over_at is None


def test_what_is_not_even_tried() -> None:
    assert unsendable(a_claim(a_route()), NOW) is None
    assert unsendable(a_claim(a_route(), enabled=None), NOW) == Rejected("the contact method was deleted")
    disabled = unsendable(a_claim(a_route(), enabled=False, why="HTTP 410"), NOW)
    assert disabled == Rejected("the contact method is disabled: HTTP 410")
    assert unsendable(a_claim(a_route()), NOW + timedelta(hours=24)) is not None


NIGHT = (QuietHours(time(22), time(7), "UTC", frozenset()),)
LATE = datetime(2026, 3, 10, 23, tzinfo=UTC)
MORNING = datetime(2026, 3, 11, 7, tzinfo=UTC)


def at_night(severity: Severity = Severity.HIGH, **values: Any) -> Claimed:
    """A claimed page by a method that keeps quiet at night."""
    return replace(a_claim(replace(a_route(), **values)), severity=severity, quiet_hours=NIGHT)


def test_at_night_only_what_is_critical_goes_or_was_asked_for_or_is_news() -> None:
    assert Parcel((at_night(),)).quiet_until(LATE) == MORNING
    assert Parcel((at_night(),)).quiet_until(MORNING) is None
    for urgent in (at_night(Severity.CRITICAL), at_night(decision=Decision.TEST), at_night(kind=Kind.NEWS)):
        assert Parcel((urgent,)).quiet_until(LATE) is None
        assert Parcel((at_night(), urgent)).quiet_until(LATE) is None, "it takes the others along"


def test_what_waits_for_the_morning_is_as_if_it_had_not_been_claimed() -> None:
    fresh = replace(
        a_route(), channel=Channel.CHAT, fail_over_at=LATE, expires_at=LATE + timedelta(minutes=50)
    )
    waits = hushed(fresh, MORNING, LATE)
    assert (waits.attempts, waits.due_at, waits.decision) == (0, MORNING, Decision.QUIET_HOURS)
    assert waits.fail_over_at == MORNING + FAIL_OVER_AFTER, "to wait is no failure"
    assert waits.expires_at == MORNING + timedelta(hours=1), "or it would be over before it may go"


def test_a_way_that_fails_and_keeps_quiet_is_not_waited_for() -> None:
    tried = replace(a_route(attempts=3), fail_over_at=LATE + timedelta(seconds=30))
    assert hushed(tried, MORNING, LATE).fail_over_at == LATE
    stands_in = replace(a_route(), decision=Decision.FAILED_OVER, fail_over_at=LATE + timedelta(minutes=1))
    assert hushed(stands_in, MORNING, LATE).fail_over_at == LATE
    given_up = replace(tried, fail_over_at=None)
    assert hushed(given_up, MORNING, LATE).fail_over_at is None, "that was decided before"
