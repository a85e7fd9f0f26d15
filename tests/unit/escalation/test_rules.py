"""Which policy, silence, aggregation rule and integration an alert meets."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.escalation.domain.integration import Integration, hashed, new_routing_key
from services.escalation.domain.matcher import MatcherError
from services.escalation.domain.noise import AggregationRule
from services.escalation.domain.policy import BUILT_IN, EscalationPolicy
from services.escalation.domain.rules import Facts, Rules
from services.escalation.domain.silence import SilenceRule

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
FACTS = Facts("CRITICAL", "prometheus", "disk full", {"team": "db"})


def policy(policy_id: str, *matchers: str, priority: int = 0) -> EscalationPolicy:
    """A policy that differs from the built-in one in whom it is for."""
    return replace(BUILT_IN, policy_id=policy_id, matchers=matchers, priority=priority)


def silence(rule_id: str, *matchers: str, start: datetime = NOW, end: datetime = NOW + HOUR) -> SilenceRule:
    """A silence of an hour from NOW on."""
    return SilenceRule(rule_id, matchers, start, end, "alice", "", NOW)


def aggregation(rule_id: str, *matchers: str) -> AggregationRule:
    """A rule that groups by host."""
    return AggregationRule(rule_id, matchers, ("host",), HOUR, NOW)


@pytest.mark.parametrize(
    ("named", "expected"),
    [("", "urgent"), ("quiet", "quiet"), ("plain", "plain"), ("gone", "urgent"), ("default", "default")],
)
def test_the_named_policy_comes_before_what_matches(named: str, expected: str) -> None:
    """One that does not exist is as if none were named."""
    rules = Rules(
        policies=[
            policy("default"),
            policy("plain"),
            policy("quiet", 'severity="INFO"'),
            policy("team", 'team="db"', priority=5),
            policy("urgent", 'severity="CRITICAL"', 'source=~"prom.*"', priority=1),
            policy("other", 'severity="CRITICAL"', 'team!="db"'),
        ]
    )
    assert rules.policy_for(FACTS, named=named).policy_id == expected


def test_ties_go_by_id() -> None:
    """Whatever order they come in."""
    policies = [policy(name, 'team="db"', priority=1) for name in ("b", "a", "c")]
    assert Rules(policies=policies).policy_for(FACTS).policy_id == "a"


def test_a_policy_without_matchers_is_followed_only_when_named() -> None:
    """The default policy is followed otherwise."""
    rules = Rules(policies=[policy("default", priority=9), policy("plain", priority=0)])
    assert rules.policy_for(FACTS).policy_id == "default"


def test_there_is_always_a_policy() -> None:
    """Even where nobody has made one."""
    assert Rules().policy_for(FACTS, named="gone") == BUILT_IN
    assert Rules().policy("default") is None


def test_severity_source_and_title_match_as_labels() -> None:
    """And win over labels of their names."""
    rules = Rules(policies=[policy("a", 'severity="CRITICAL"', 'source="prometheus"', 'title=~"disk.*"')])
    assert rules.policy_for(FACTS).policy_id == "a"
    assert rules.policy_for(FACTS._replace(labels={"severity": "LOW", "title": ""})).policy_id == "a"
    assert rules.policy_for(FACTS._replace(severity="LOW", labels={"severity": "CRITICAL"})) == BUILT_IN


@pytest.mark.parametrize(
    ("at", "by"),
    [(NOW - HOUR, None), (NOW, "a"), (NOW + HOUR / 2, "a"), (NOW + HOUR, "b"), (NOW + 2 * HOUR, None)],
)
def test_only_silences_in_force_count(at: datetime, by: str | None) -> None:
    """From the start on, until the end; the first by id."""
    rules = Rules(
        silences=[
            silence("b", 'severity=~"CRIT.*"', end=NOW + 2 * HOUR),
            silence("a", 'team="db"'),
            silence("0", 'team="web"'),
        ]
    )
    found = rules.silenced_by(FACTS, at)
    assert (found and found.silence_rule_id) == by


def test_aggregation_by_the_first_that_matches() -> None:
    """By id."""
    rules = Rules(aggregations=[aggregation("c", 'team=~"d."'), aggregation("b", 'team="db"')])
    found = rules.aggregated_by(FACTS)
    assert found is not None
    assert found.aggregation_rule_id == "b"
    assert rules.aggregated_by(FACTS._replace(labels={})) is None


def test_an_integration_is_found_by_its_key_alone() -> None:
    """Keys are 32 characters of 0-9 and a-f, never the same twice."""
    keys = {new_routing_key() for _ in range(100)}
    assert len(keys) == 100
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in keys)
    key, other, *_ = keys
    prometheus = Integration("prometheus", "Prometheus", "", {}, hashed(key), NOW)
    rules = Rules(integrations=[prometheus])
    assert rules.integration_by_key(key, NOW) is prometheus
    assert rules.integration_by_key(other, NOW) is None
    assert rules.integration_by_key(key.upper(), NOW) is None or key == key.upper()


def test_what_was_never_checked_is_refused() -> None:
    """Rather than matching nothing in silence."""
    with pytest.raises(MatcherError):
        Rules(silences=[silence("a", "team")])


def test_a_thousand_rules_cost_little() -> None:
    """A thousand silences and two hundred aggregation rules in force: an alert is judged in well under a millisecond."""
    rules = Rules(
        silences=[silence(f"s{n}", f'host="web-{n}"', 'env=~"prod|stage"') for n in range(700)]
        + [silence(f"p{n}", f'pod=~"pod-{n:03}-.*"') for n in range(300)],
        aggregations=[aggregation(f"a{n}", f'service="svc-{n}"') for n in range(200)],
    )
    facts = FACTS._replace(
        labels={"host": "web-x", "pod": "pod-y-1", "service": "z", "env": "prod", "team": "db"}
    )
    best = min(_seconds(rules, facts) for _ in range(20))
    assert best < 0.0005


def test_a_thousand_silences_of_unanchored_patterns_cost_little() -> None:
    """Of all of them one look at a value tells which have a chance to match it."""
    rules = Rules(
        silences=[silence(f"s{n}", f'pod=~".*(web|app)-{n}-[0-9a-f]+.*"', 'env!="dev"') for n in range(1_000)]
    )
    facts = FACTS._replace(labels={"pod": "eu-web-1234-0a.local", "env": "prod"})
    assert rules.silenced_by(facts, NOW) is None
    hit = facts._replace(labels={"pod": "eu-web-777-0a.local", "env": "prod"})
    found = rules.silenced_by(hit, NOW)
    assert found is not None
    assert found.silence_rule_id == "s777"
    assert min(_seconds(rules, facts) for _ in range(20)) < 0.0005


def _seconds(rules: Rules, facts: Facts) -> float:
    started = time.process_time()
    assert rules.silenced_by(facts, NOW) is None
    assert rules.aggregated_by(facts) is None
    return time.process_time() - started
