"""Many pages become few messages: bundles, rates, and the first CRITICAL page that waits for neither."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.contact_method import Severity
from services.notify.domain.decision import Decision
from services.notify.domain.load import MINUTE, Admitted, Lane, Limits, Waiting, admit
from tests.unit.notify.test_route_status import NOW

WINDOW = timedelta(seconds=30)
BUNDLING, LIMITED = Limits(WINDOW, 0, 0), Limits(timedelta(), 6, 0)


def a_lane(tokens: float = 1e9) -> Lane:
    """One by which nothing has gone yet."""
    return Lane("lane", tokens=tokens, filled_at=NOW, gathers_until=NOW, critical_from=NOW)


def pages(*severities: str) -> list[Waiting]:
    return [Waiting(f"{number}", Severity(one)) for number, one in enumerate(severities)]


def admitted(
    waiting: list[Waiting], limits: Limits, before: Admitted | None = None, after: float = 0
) -> Admitted:
    method, person = (before.method, before.person) if before else (a_lane(), a_lane())
    return admit(waiting, limits, method, person, NOW + timedelta(seconds=after))


def test_the_first_page_goes_at_once_and_the_next_ones_together() -> None:
    first = admitted(pages("LOW"), BUNDLING)
    assert (first.messages, first.held) == ((("0",),), ())
    second = admitted(pages("LOW", "LOW"), BUNDLING, first, after=5)
    assert (second.messages, second.held, second.reason) == ((), ("0", "1"), Decision.BUNDLED)
    assert second.until == NOW + WINDOW
    third = admitted(pages("LOW", "LOW", "HIGH"), BUNDLING, second, after=30)
    assert third.messages == (("0", "1", "2"),)
    assert third.method.gathers_until == NOW + 2 * WINDOW


def test_the_first_critical_page_in_a_window_does_not_wait() -> None:
    first = admitted(pages("LOW"), BUNDLING)
    second = admitted(pages("LOW", "CRITICAL", "CRITICAL"), BUNDLING, first, after=5)
    assert (second.messages, second.held) == ((("1",),), ("0", "2"))
    third = admitted(pages("CRITICAL"), BUNDLING, second, after=6)
    assert (third.messages, third.held) == ((), ("0",))


def test_pages_over_the_rate_wait_and_go_together() -> None:
    first = admitted(pages(*["HIGH"] * 6), LIMITED)
    assert len(first.messages) == 6
    second = admitted(pages("HIGH", "HIGH"), LIMITED, first, after=1)
    assert (second.messages, second.reason) == ((), Decision.RATE_LIMITED)
    assert second.until == NOW + timedelta(seconds=10)
    assert admitted(pages("HIGH", "HIGH"), LIMITED, second, after=10).messages == (("0", "1"),)


def test_a_critical_page_may_overdraw_the_rate_once_a_minute() -> None:
    first = admitted(pages(*["HIGH"] * 6), LIMITED)
    second = admitted(pages("HIGH", "CRITICAL", "CRITICAL"), LIMITED, first)
    assert (second.messages, second.held) == ((("1",),), ("0", "2"))
    assert second.method.tokens == -1
    assert admitted(pages("CRITICAL"), LIMITED, second, after=1).messages == ()


def test_a_person_has_a_rate_over_all_methods() -> None:
    limits = Limits(timedelta(), 0, 1)
    first = admit(pages("HIGH"), limits, a_lane(), a_lane(), NOW)
    second = admit(pages("HIGH"), limits, a_lane(), first.person, NOW)
    assert (second.messages, second.until) == ((), NOW + MINUTE)


@given(
    st.lists(st.tuples(st.sampled_from(Severity), st.floats(0, 20)), min_size=1, max_size=60),
    st.sampled_from([0, 5, 45]),
    st.integers(0, 12),
)
def test_nothing_is_dropped_or_doubled_and_the_rate_is_kept(
    arrivals: list[tuple[Severity, float]], window: int, per_minute: int
) -> None:
    limits, lane, person, now = Limits(timedelta(seconds=window), per_minute, 0), a_lane(), a_lane(), NOW
    waiting: list[Waiting] = []
    sent: list[str] = []
    messages, overdrawn = 0, 0
    for number, (severity, pause) in enumerate([*arrivals, *[(Severity.LOW, 4000.0)] * 2]):
        now += timedelta(seconds=pause)
        waiting.append(Waiting(str(number), severity))
        found = admit(waiting, limits, lane, person, now)
        lane, person = found.method, found.person
        gone = [page for group in found.messages for page in group]
        assert sorted([*gone, *found.held]) == sorted(one.page for one in waiting)
        assert not found.held or found.until > now
        overdrawn += lane.tokens < 0 and bool(found.messages)
        messages += len(found.messages)
        sent += gone
        waiting = [one for one in waiting if one.page in found.held]
    assert waiting == []
    assert len(sent) == len(set(sent)) == len(arrivals) + 2
    if per_minute:
        assert messages <= per_minute * (1 + (now - NOW) / MINUTE) + overdrawn
