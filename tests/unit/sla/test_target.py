"""Promises: made of the alerts that a target is for, warned of, broken once, kept although the news is late."""

from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.escalation.domain import matcher as escalations
from services.sla.domain import matcher
from services.sla.domain.fact import Fact
from services.sla.domain.target import Kind, Promise, State, Tally, Target, promised, settled, told
from tests.unit.sla.histories import NOON

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def target(*matchers: str, ack: timedelta | None = 4 * MINUTE, resolve: timedelta | None = None) -> Target:
    """Made an hour before noon."""
    return Target(
        "t", "t", matchers, ack, resolve, None, 0.75, 0.9, 30 * DAY, created_at=NOON - timedelta(hours=1)
    )


def fact(**values: object) -> Fact:
    """A critical alert that opened at noon."""
    given = {"opened_at": NOON, "severity": "CRITICAL", "opened": True, "labels": {"team": "db"}}
    return Fact(uuid4(), **{**given, **values})  # type: ignore[arg-type]


def promises(one: Target, *facts: Fact) -> list[Promise]:
    """What the target promises of the facts."""
    return promised([(one, [matcher.parse(text) for text in one.matchers])], facts)


def test_what_is_promised() -> None:
    """To acknowledge, to close, or both; at risk after three quarters of the time."""
    (ack, resolve) = promises(target(resolve=8 * MINUTE), fact())
    assert (ack.kind, ack.at_risk_at, ack.due_at) == (Kind.ACKNOWLEDGE, NOON + 3 * MINUTE, NOON + 4 * MINUTE)
    assert (resolve.kind, resolve.at_risk_at, resolve.due_at) == (
        Kind.RESOLVE,
        NOON + 6 * MINUTE,
        NOON + 8 * MINUTE,
    )


@pytest.mark.parametrize(
    ("matchers", "values", "number"),
    [
        (['severity="CRITICAL"', 'team=~"d.*"'], {}, 1),
        (['severity="LOW"'], {}, 0),
        (['title=~".*disk.*"'], {"title": "the disk is full"}, 1),
        (['source!="grafana"'], {"source": "grafana"}, 0),
        ([], {"opened": False, "suppressed": True}, 0),
        ([], {"opened_at": NOON - DAY}, 0),
        ([], {"opened_at": None}, 0),
    ],
)
def test_of_which_alerts(matchers: list[str], values: dict[str, object], number: int) -> None:
    """Those that match, were more than kept quiet, and opened since the target exists."""
    assert len(promises(target(*matchers), fact(**values))) == number


@pytest.mark.parametrize(
    ("after", "state", "next_at"),
    [
        (2, State.WAITING, 3),
        (3, State.AT_RISK, 4),
        (4, State.BREACHED, None),
        (9, State.BREACHED, None),
    ],
)
def test_time_passes(after: int, state: State, next_at: int | None) -> None:
    """Each is told of once; whoever was away for both is told of the breach alone."""
    (promise,) = promises(target(), fact())
    now = told(promise, NOON + after * MINUTE)
    assert now.state is state
    assert now.next_at == (None if next_at is None else NOON + next_at * MINUTE)
    assert now.breached_at == (promise.due_at if state is State.BREACHED else None)
    assert told(now, NOON + after * MINUTE) == now


def test_what_happened_in_time_is_kept() -> None:
    """By acknowledging, or by closing; also when that is heard of after the breach."""
    (promise,) = promises(target(), fact())
    for taken in (fact(acked_at=NOON + MINUTE), fact(closed_at=NOON + MINUTE)):
        kept = settled(promise, taken)
        assert (kept.state, kept.settled_at, kept.next_at) == (State.KEPT, NOON + MINUTE, None)
        assert told(kept, NOON + DAY) == kept
        late = settled(told(promise, NOON + DAY), taken)
        assert (late.state, late.breached_at) == (State.KEPT, NOON + 4 * MINUTE)


@pytest.mark.parametrize("at", [4, 5])
def test_what_happened_too_late_is_broken(at: int) -> None:
    """The end of the time is too late; and it is told of although the alert is over."""
    (promise,) = promises(target(), fact())
    late = settled(promise, fact(acked_at=NOON + at * MINUTE))
    assert late.state is State.WAITING
    broken = told(late, NOON + at * MINUTE)
    assert (broken.state, broken.settled_at) == (State.BREACHED, NOON + at * MINUTE)


def test_acknowledging_does_not_close() -> None:
    """A promise to close waits for the end."""
    (promise,) = promises(target(ack=None, resolve=4 * MINUTE), fact())
    assert settled(promise, fact(acked_at=NOON)) == promise


def test_budgets() -> None:
    """Of an objective of nine in ten."""
    assert Tally(made=12, kept=9, broken=1).share == pytest.approx(0.9)
    assert Tally(made=12, kept=9, broken=1).burn_rate(0.9) == pytest.approx(1)
    assert Tally(made=10, kept=8, broken=2).left(0.9) == pytest.approx(-1)
    assert Tally(made=3).share is Tally(made=3).burn_rate(0.9) is Tally(made=3).left(0.9) is None


TEXTS = st.one_of(
    st.text(max_size=20),
    st.tuples(
        st.sampled_from(["severity", "team", " host", "9"]),
        st.sampled_from(["=", "!=", "=~", "!~", "=="]),
        st.one_of(
            st.text(alphabet='ab"\\n. |()[*', max_size=8),
            st.text(alphabet='ab\\"n.|', max_size=8).map(lambda text: f'"{text}"'),
        ),
    ).map("".join),
)


@given(TEXTS, st.text(alphabet="ab\n", max_size=3))
def test_matchers_are_those_of_policies(text: str, value: str) -> None:
    """The same texts are read, and mean the same (ADR 22)."""
    try:
        theirs = escalations.parse(text)
    except escalations.MatcherError:
        with pytest.raises(matcher.MatcherError):
            matcher.parse(text)
        return
    ours = matcher.parse(text)
    assert (ours.name, ours.op, ours.value) == (theirs.name, theirs.op, theirs.value)
    for labels in ({}, {theirs.name: value}, {theirs.name: theirs.value}):
        found: str = labels.get(theirs.name, "")
        assert ours.matches(labels) == theirs.matches(found)


def test_the_longest_matcher() -> None:
    """And no longer."""
    with pytest.raises(matcher.MatcherError, match="at most 4096"):
        matcher.parse("a=" + "b" * 4096)
