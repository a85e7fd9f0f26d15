"""What follows from an attempt: sent, tried again later, or failed; and when a person cannot be reached at all."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import (
    FIRST_RETRY,
    LONGEST_RETRY,
    Claimed,
    Rejected,
    Retry,
    Sent,
    exhausted,
    outcome,
    pause,
    unsendable,
)
from services.notify.domain.route import RouteLog, Status

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
    )


def a_claim(route: RouteLog, *, enabled: bool | None = True, why: str = "") -> Claimed:
    return Claimed(
        route=route,
        alert=b"",
        reason="INITIAL",
        level=1,
        accepted_at=NOW,
        enabled=enabled,
        secret="",
        disabled_reason=why,
    )


def test_sent_is_done() -> None:
    route = outcome(a_route(), Sent(), NOW, jitter=0).route
    assert (route.status, route.sent_at, route.due_at) == (Status.SENT, NOW, None)


def test_a_retry_waits_with_its_reason() -> None:
    route = outcome(a_route(), Retry("HTTP 500"), NOW, jitter=1).route
    assert (route.status, route.last_error, route.due_at) == (Status.PENDING, "HTTP 500", NOW + FIRST_RETRY)


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


@given(st.integers(1, 10_000), st.floats(0, 1), st.integers(0, 86_400))
def test_pauses_grow_within_bounds_and_never_undercut_what_was_asked(
    n: int, jitter: float, asked: int
) -> None:
    alone = pause(n, None, jitter=jitter)
    assert FIRST_RETRY / 2 <= alone <= LONGEST_RETRY
    assert pause(n, timedelta(seconds=asked), jitter=jitter) >= max(alone, timedelta(seconds=asked))
    assert pause(n + 1, None, jitter=jitter) >= alone


def test_what_is_not_even_tried() -> None:
    assert unsendable(a_claim(a_route()), NOW) is None
    assert unsendable(a_claim(a_route(), enabled=None), NOW) == Rejected("the contact method was deleted")
    disabled = unsendable(a_claim(a_route(), enabled=False, why="HTTP 410"), NOW)
    assert disabled == Rejected("the contact method is disabled: HTTP 410")
    assert unsendable(a_claim(a_route()), NOW + timedelta(hours=24)) is not None


def test_a_person_is_out_of_reach_when_everything_but_the_inbox_failed() -> None:
    inbox, failed = a_route(Status.SENT, Channel.IN_APP), a_route(Status.FAILED)
    assert exhausted([inbox, failed])
    assert exhausted([inbox, failed, replace(failed, status=Status.CANCELLED)])
    assert not exhausted([inbox])
    assert not exhausted([inbox, a_route(Status.CANCELLED)])
    for status in Status:
        if status not in (Status.FAILED, Status.CANCELLED):
            assert not exhausted([inbox, failed, a_route(status)])
