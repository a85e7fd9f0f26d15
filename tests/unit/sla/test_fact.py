"""Facts are the same in whatever order, how often and in what groups events arrive."""

import random
from datetime import timedelta
from functools import reduce

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from services.sla.convert import events as convert
from services.sla.domain.fact import Fact, join, joined
from tests.unit.sla.histories import NOON, History, Reason, Severity, any_history, received
from tocsin.escalation.v1.events_pb2 import AlertOpenedEvent

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def told_by(history: History) -> Fact:
    """What the whole history says."""
    (fact,) = joined(convert.facts(history.events))
    return fact


def test_a_fact_knows_the_whole_story() -> None:
    """Who was told when and why, who took it, who ended it."""
    history = History().opened().escalated().sent(SECOND, "alice").escalated(Reason.ACK_TIMEOUT)
    history.sent(5 * MINUTE, "bob").sent(6 * MINUTE, "alice").acknowledged(7 * MINUTE, "bob").closed(
        9 * MINUTE
    )
    fact = told_by(history)
    assert (fact.alert_id, fact.version) == (history.alert_id, 5)
    assert (fact.opened_at, fact.first_paged_at) == (NOON, NOON + SECOND)
    assert (fact.severity, fact.policy_id, fact.source) == ("CRITICAL", "default", "prometheus")
    assert fact.labels == {"team": "db"}
    assert (fact.acked_at, fact.acked_by) == (NOON + 7 * MINUTE, "bob")
    assert (fact.closed_at, fact.closed_by) == (NOON + 9 * MINUTE, "bob")
    assert sorted(fact.escalations.values()) == ["ACK_TIMEOUT", "INITIAL"]
    assert fact.told == {"alice", "bob"}
    assert fact.opened
    assert fact.timeout_escalated
    assert not fact.suppressed


def test_the_first_acknowledgement_counts() -> None:
    """Also after the alert was opened again and taken by somebody else."""
    history = History().opened().acknowledged(MINUTE, "alice").reopened()
    assert told_by(history).acked_by == "alice"
    fact = told_by(history.acknowledged(3 * MINUTE, "bob"))
    assert (fact.acked_at, fact.acked_by) == (NOON + MINUTE, "alice")


def test_the_newest_version_says_how_bad_it_is() -> None:
    """Not the event that arrives last."""
    history = History(severity=Severity.LOW).opened().repeated(Severity.HIGH).repeated(Severity.CRITICAL)
    history.events.reverse()
    assert told_by(history).severity == "CRITICAL"


@pytest.mark.parametrize(
    ("history", "opened", "suppressed", "noise_suppressed"),
    [
        (History().opened(), True, False, False),
        (History().suppressed().repeated().closed(MINUTE), False, True, False),
        (History().noise_suppressed(), False, False, True),
        (History().suppressed().opened(), True, True, False),
        (History().suppressed().acknowledged(MINUTE), True, True, False),
        (History().opened().suppressed().closed(MINUTE), True, True, False),
    ],
)
def test_an_alert_that_never_opened_stays_apart(
    history: History, opened: bool, suppressed: bool, noise_suppressed: bool
) -> None:
    """Until it opens or somebody takes it."""
    fact = told_by(history)
    assert (fact.opened, fact.suppressed, fact.noise_suppressed) == (opened, suppressed, noise_suppressed)


def test_a_page_can_come_before_the_alert() -> None:
    """The streams know nothing of one another."""
    history = History().opened().sent(SECOND)
    page, opened = convert.facts(reversed(history.events))
    assert (page.version, page.opened_at, page.opened) == (0, None, False)
    assert join(page, opened) == told_by(history)


@given(st.randoms(use_true_random=False), st.integers(0, 2**32))
def test_any_order_and_any_repeats_give_the_same_fact(dice: random.Random, seed: int) -> None:
    """In any groups, too: joins of joins are joins."""
    history = any_history(random.Random(seed))
    expected = told_by(history)
    events = history.events + dice.choices(history.events, k=dice.randrange(6))
    dice.shuffle(events)
    facts = convert.facts(events)
    while len(facts) > 1:
        one, other = facts.pop(dice.randrange(len(facts))), facts.pop(dice.randrange(len(facts)))
        facts.append(join(one, other))
    assert facts == [expected]


@given(st.lists(st.integers(0, 2**32), max_size=5))
def test_a_batch_is_one_fact_an_alert(seeds: list[int]) -> None:
    """By id, whatever lies between the events of one alert."""
    histories = [any_history(random.Random(seed)) for seed in seeds]
    events = [event for history in histories for event in history.events]
    random.Random(0).shuffle(events)
    facts = joined(convert.facts(events))
    expected = [reduce(join, convert.facts(history.events)) for history in histories]
    assert facts == sorted(expected, key=lambda fact: fact.alert_id)


@pytest.mark.parametrize("kind", ["alert.invented", "notification.read", "notification.failed"])
def test_events_that_say_nothing_of_figures_are_passed_over(kind: str) -> None:
    """And those that are not known yet."""
    assert convert.facts([received(kind, b"\xff")]) == []


def test_an_event_that_cannot_be_read_is_an_error() -> None:
    """So that it is buried where it can be found, and not taken for nothing."""
    with pytest.raises(DecodeError):
        convert.facts([received("alert.opened", b"\xff")])
    with pytest.raises(ValueError, match="UUID"):
        convert.facts([received("alert.opened", AlertOpenedEvent())])
