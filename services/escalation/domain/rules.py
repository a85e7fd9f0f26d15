"""Every rule in force, compiled once per change: which policy, silence and aggregation an alert meets."""

from collections.abc import Iterable
from datetime import datetime

from services.escalation.domain.facts import Facts
from services.escalation.domain.integration import Integration, hashed
from services.escalation.domain.matcher import Index, Matcher, parse
from services.escalation.domain.noise import AggregationRule, SilenceRule
from services.escalation.domain.policy import BUILT_IN, DEFAULT, EscalationPolicy

__all__ = ["Facts", "Rules"]


class Rules:
    """The rules at one moment; immutable."""

    def __init__(
        self,
        *,
        policies: Iterable[EscalationPolicy] = (),
        silences: Iterable[SilenceRule] = (),
        aggregations: Iterable[AggregationRule] = (),
        integrations: Iterable[Integration] = (),
    ) -> None:
        """Raises MatcherError for a matcher that was never checked."""
        self._policies = {policy.policy_id: policy for policy in policies}
        chosen = sorted(
            (policy for policy in self._policies.values() if policy.matchers),
            key=lambda policy: (policy.priority, policy.policy_id),
        )
        self._by_matchers = Index([(policy, _compiled(policy.matchers)) for policy in chosen])
        self._silences = Index(
            [(rule, _compiled(rule.matchers)) for rule in sorted(silences, key=lambda r: r.silence_rule_id)]
        )
        self._aggregations = Index(
            [
                (rule, _compiled(rule.matchers))
                for rule in sorted(aggregations, key=lambda r: r.aggregation_rule_id)
            ]
        )
        self._integrations = {one.routing_key_sha256: one for one in integrations}

    def policy(self, policy_id: str) -> EscalationPolicy | None:
        """The policy with this id."""
        return self._policies.get(policy_id)

    def policy_for(self, facts: Facts, *, named: str = "") -> EscalationPolicy:
        """The policy that is named and exists, else the first by priority, then id, whose matchers all match.

        A policy without matchers is followed only when named. Where none matches the answer is the policy `default`:
        no alert is left without one.
        """
        if named and (policy := self._policies.get(named)):
            return policy
        first = next(self._by_matchers.matching(facts.seen()), None) if self._by_matchers else None
        return first or self._policies.get(DEFAULT, BUILT_IN)

    def silenced_by(self, facts: Facts, now: datetime) -> SilenceRule | None:
        """The first by id of the silences in force at `now` that match."""
        if not self._silences:
            return None
        return next((rule for rule in self._silences.matching(facts.seen()) if rule.in_force(now)), None)

    def aggregated_by(self, facts: Facts) -> AggregationRule | None:
        """The first by id of the aggregation rules that match; its `group_of(facts)` names the group."""
        return next(self._aggregations.matching(facts.seen()), None) if self._aggregations else None

    def integration_by_key(self, routing_key: str) -> Integration | None:
        """The integration with this routing key."""
        return self._integrations.get(hashed(routing_key))


def _compiled(texts: Iterable[str]) -> tuple[Matcher, ...]:
    return tuple(parse(text) for text in texts)
