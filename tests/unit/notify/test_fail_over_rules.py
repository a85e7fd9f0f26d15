"""What follows when a way to a person has not worked: the next one, or word that none is left."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Channel
from services.notify.domain.decision import Decision
from services.notify.domain.failover import FailOver, decide
from services.notify.domain.patience import FAIL_OVER_AFTER
from services.notify.domain.route import RouteLog, Status
from tests.unit.notify.test_delivery_rules import NOW, a_route

STEADY = NOW - timedelta(hours=1)
INBOX = replace(a_route(Status.SENT, Channel.IN_APP), route_log_id=UUID(int=9))


def failed(number: int = 1, status: Status = Status.FAILED) -> RouteLog:
    """A way whose time to fail over has come."""
    due = NOW if status is Status.PENDING else None
    return replace(a_route(status), route_log_id=UUID(int=number), due_at=due, fail_over_at=NOW)


def waiting(number: int, seconds: int) -> RouteLog:
    """A way that is not tried yet."""
    due = NOW + timedelta(seconds=seconds)
    route = a_route(attempts=0)
    return replace(route, route_log_id=UUID(int=number), due_at=due, fail_over_at=due + FAIL_OVER_AFTER)


def outcome(*step: RouteLog) -> FailOver:
    return decide(step, NOW, steady_since=STEADY).outcome


def test_the_way_that_would_be_used_next_is_used_now() -> None:
    step = [INBOX, failed(), waiting(2, 300), waiting(3, 60)]
    found = decide(step, NOW, steady_since=STEADY)
    assert (found.outcome, found.used, found.given_up) == (FailOver.NEXT, step[3], (step[1],))


def test_a_way_that_is_tried_in_the_background_is_given_up_too() -> None:
    found = decide([INBOX, failed(status=Status.PENDING)], NOW, steady_since=STEADY)
    assert (found.outcome, len(found.given_up)) == (FailOver.EXHAUSTED, 1)


def test_another_way_that_is_under_way_has_its_time() -> None:
    trying = replace(a_route(), route_log_id=UUID(int=2), fail_over_at=NOW + timedelta(seconds=20))
    assert outcome(INBOX, failed(), trying, waiting(3, 60)) is FailOver.UNDER_WAY
    assert outcome(INBOX, failed(), waiting(2, 0)) is FailOver.UNDER_WAY


def test_a_person_who_was_reached_needs_nothing_else() -> None:
    for status in (Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED):
        other = replace(a_route(status), route_log_id=UUID(int=2), due_at=None)
        assert outcome(INBOX, failed(), other, waiting(3, 60)) is FailOver.REACHED


def test_the_inbox_and_what_was_skipped_or_cancelled_do_not_count() -> None:
    for status in (Status.SKIPPED, Status.CANCELLED):
        other = replace(a_route(status), route_log_id=UUID(int=2), due_at=None)
        assert outcome(INBOX, failed(), other) is FailOver.EXHAUSTED


def test_a_way_that_keeps_quiet_now_is_passed_over_and_not_waited_for() -> None:
    planned = waiting(2, 60)
    late = replace(waiting(3, 7200), decision=Decision.QUIET_HOURS)

    def found(*step: RouteLog, quiet: set[UUID]) -> tuple[FailOver, RouteLog | None]:
        decided = decide([INBOX, failed(), *step], NOW, steady_since=STEADY, quiet=quiet)
        return decided.outcome, decided.used

    assert found(planned, quiet={planned.route_log_id}) == (FailOver.EXHAUSTED, None)
    assert found(planned, late, quiet={planned.route_log_id}) == (FailOver.NEXT, late)
    assert found(late, quiet=set()) == (FailOver.NEXT, late), "its quiet hours have not begun yet"
    under_way = replace(a_route(), route_log_id=UUID(int=4), fail_over_at=NOW + timedelta(seconds=20))
    assert found(under_way, quiet={under_way.route_log_id}) == (FailOver.UNDER_WAY, None)


def test_one_that_nobody_was_there_to_try_gets_its_time() -> None:
    """After an outage of ours everything is late, and nothing has failed."""
    late = replace(waiting(2, -300), fail_over_at=NOW - timedelta(seconds=240))
    found = decide([INBOX, late, waiting(3, 60)], NOW, steady_since=NOW - timedelta(seconds=5))
    assert (found.outcome, found.given_up, found.used) == (FailOver.NOT_TRIED, (), None)
    assert found.later == ((late, NOW + timedelta(seconds=55)),)
    assert outcome(INBOX, late) is FailOver.EXHAUSTED, "held back by an endpoint that is silent"


def test_what_another_replica_has_decided_is_left_alone() -> None:
    assert outcome(INBOX, replace(failed(), fail_over_at=None, failed_over_at=NOW)) is FailOver.DECIDED


@given(st.lists(st.tuples(st.sampled_from(Status), st.booleans(), st.integers(0, 2)), max_size=5))
def test_nobody_is_given_up_while_there_is_a_way(ways: list[tuple[Status, bool, int]]) -> None:
    step = [INBOX]
    for number, (status, over, attempts) in enumerate(ways, 1):
        due = NOW + timedelta(seconds=60) if status is Status.PENDING else None
        route = replace(a_route(status, attempts=attempts), route_log_id=UUID(int=number), due_at=due)
        step.append(replace(route, fail_over_at=NOW if over else None))
    found = decide(step, NOW, steady_since=STEADY)
    worked = (Status.SENT, Status.DELIVERED, Status.READ, Status.ACKNOWLEDGED)
    reached = [r for r in step[1:] if r.status in worked]
    left = [r for r in step[1:] if r.status is Status.PENDING and r.fail_over_at is None]
    if found.outcome is FailOver.EXHAUSTED:
        assert found.given_up
        assert left + reached == []
    if found.used is not None:
        assert found.used in left
        assert found.used.attempts == 0
