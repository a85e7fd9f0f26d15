"""How far a page has come: forward only, whatever is heard in whatever order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Channel
from services.notify.domain.decision import Decision
from services.notify.domain.receipt import REPORTED, received
from services.notify.domain.route import Receipt, RouteLog, Status, moved

NOW = datetime(2026, 1, 1, tzinfo=UTC)
P, C, S, F, D, R, A, K = Status
MATRIX = {
    P: {P: P, C: C, S: S, F: F, D: D, R: R, A: A},
    C: {P: C, C: C, S: S, F: F, D: D, R: R, A: A},
    S: {P: S, C: S, S: S, F: F, D: D, R: R, A: A},
    F: {P: F, C: F, S: F, F: F, D: D, R: R, A: A},
    D: {P: D, C: D, S: D, F: D, D: D, R: R, A: A},
    R: {P: R, C: R, S: R, F: R, D: R, R: R, A: A},
    A: {P: A, C: A, S: A, F: A, D: A, R: A, A: A},
    K: {P: K, C: K, S: K, F: K, D: K, R: K, A: K},
}
"""Nothing is ever reported as skipped: that is decided before anything is sent."""


def a_route(status: Status = P) -> RouteLog:
    return RouteLog(
        route_log_id=UUID(int=1),
        execution_id=UUID(int=2),
        alert_id=UUID(int=3),
        responder_id="alice",
        channel=Channel.WEBHOOK,
        contact_method_id="hook",
        address="https://example.org",
        status=status,
        attempts=1,
        last_error="",
        created_at=NOW,
        sent_at=NOW if status in (S, D, R, A) else None,
        read_at=NOW if status in (R, A) else None,
        due_at=NOW if status is P else None,
        expires_at=NOW + timedelta(days=1),
        position=None,
        decision=Decision.PLANNED,
        delay=timedelta(),
        fail_over_at=None,
        failed_over_at=None,
    )


def a_receipt(status: Status) -> Receipt:
    return Receipt(UUID(int=1), "r", status, "what happened", at=NOW, recorded_at=NOW)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("news", [status for status in Status if status is not K])
def test_every_status_and_every_news(status: Status, news: Status) -> None:
    assert moved(status, news) is MATRIX[status][news]


@given(st.lists(st.sampled_from(REPORTED), min_size=1, max_size=12))
def test_receipts_in_any_order_only_move_forward_and_end_at_the_farthest(news: list[Status]) -> None:
    route, seen, reached = a_route(), [P], list[Status]()
    for status in news:
        route, facts = received(route, a_receipt(status), NOW)
        seen.append(route.status)
        reached += facts
    assert all(after.place >= before.place for before, after in pairwise(seen))
    assert route.status is max(news, key=lambda status: status.place)
    assert len(reached) == len(set(reached)), "each fact is told once"
    assert (route.sent_at is not None) is (S in reached)
    assert (route.read_at is not None) is (route.status in (R, A))


def test_a_receipt_that_overtakes_our_own_attempt_proves_that_it_was_sent() -> None:
    route, reached = received(a_route(P), a_receipt(A), NOW)
    assert reached == [S, A]
    assert route.sent_at == NOW
    assert route.due_at is None


def test_a_failure_that_is_reported_keeps_its_reason() -> None:
    route, reached = received(a_route(S), a_receipt(F), NOW)
    assert reached == [F]
    assert route.last_error == "what happened"


def test_news_of_the_past_change_nothing() -> None:
    route = a_route(A)
    assert received(route, a_receipt(D), NOW) == (route, [])
    assert received(replace(route, status=D), a_receipt(F), NOW)[1] == []
