"""Every rule in force, compiled once per change: which policy an alert follows, and what may keep it quiet."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from services.escalation.domain.alert import Quiet
from services.escalation.domain.facts import Facts
from services.escalation.domain.grouping import GroupKey
from services.escalation.domain.integration import Integration, hashed
from services.escalation.domain.matcher import Index, Matcher, parse
from services.escalation.domain.noise import AggregationRule, InhibitionRule, Side, sides
from services.escalation.domain.policy import ACTIVE, BUILT_IN, DEFAULT, EscalationPolicy
from services.escalation.domain.silence import SilenceRule, in_force

__all__ = ["Facts", "Rules"]


class Standing(NamedTuple):
    """What the rules make of an alert at an instant, as far as they alone can tell.

    The silence that keeps it quiet; the group that it would join, within `window` of the group's first; what it is in
    inhibition rules.
    """

    silence: Quiet | None = None
    group: GroupKey | None = None
    window: timedelta = timedelta()
    sources: tuple[Side, ...] = ()
    targets: tuple[Side, ...] = ()

    @property
    def alone(self) -> bool:
        """Whether no other alert matters to it, nor it to others."""
        return self.group is None and not self.targets and not self.sources


class Rules:
    """The rules at one moment; immutable."""

    def __init__(
        self,
        *,
        policies: Iterable[EscalationPolicy] = (),
        silences: Iterable[SilenceRule] = (),
        aggregations: Iterable[AggregationRule] = (),
        inhibitions: Iterable[InhibitionRule] = (),
        integrations: Iterable[Integration] = (),
    ) -> None:
        """Raises MatcherError for a matcher that was never checked."""
        self._policies = {policy.policy_id: policy for policy in policies}
        self._followed: dict[str, EscalationPolicy] = {}
        chosen = sorted(
            (policy for policy in self._policies.values() if policy.matchers),
            key=lambda policy: (policy.priority, policy.policy_id),
        )
        self._by_matchers = Index([(policy, _compiled(policy.matchers)) for policy in chosen])
        self._by_silence = {
            rule.silence_rule_id: rule for rule in sorted(silences, key=lambda r: r.silence_rule_id)
        }
        self._silences = Index([(rule, _compiled(rule.matchers)) for rule in self._by_silence.values()])
        self._aggregations = Index(
            [
                (rule, _compiled(rule.matchers))
                for rule in sorted(aggregations, key=lambda r: r.aggregation_rule_id)
            ]
        )
        self._by_inhibition = {
            rule.inhibition_rule_id: rule for rule in sorted(inhibitions, key=lambda r: r.inhibition_rule_id)
        }
        inhibiting = self._by_inhibition.values()
        self._sources = Index([(rule, _compiled(rule.source_matchers)) for rule in inhibiting])
        self._targets = Index([(rule, _compiled(rule.target_matchers)) for rule in inhibiting])
        self._integrations: dict[bytes, Integration] = {}
        self._by_id = {one.integration_id: one for one in integrations}
        for one in self._by_id.values():
            if one.previous_key_sha256 is not None:
                self._integrations.setdefault(one.previous_key_sha256, one)
            self._integrations[one.routing_key_sha256] = one

    def policy(self, policy_id: str) -> EscalationPolicy | None:
        """The policy with this id."""
        return self._policies.get(policy_id)

    def followed(self, policy_id: str) -> EscalationPolicy:
        """The policy with this id as alerts follow it, the policy `default` where it is gone.

        Its catch-all, where it has chosen none, is that of the policy `default`, and else everyone on call.
        """
        followed = self._followed.get(policy_id)
        if followed is None:
            default = self._policies.get(DEFAULT, BUILT_IN)
            policy = self._policies.get(policy_id, default)
            followed = replace(policy, catch_all=policy.catch_all or default.catch_all or ACTIVE)
            if policy_id in self._policies:
                self._followed[policy_id] = followed
        return followed

    @property
    def targets(self) -> set[str]:
        """Every target that a policy may tell."""
        policies = [self.followed(policy_id) for policy_id in {*self._policies, DEFAULT}]
        steps = {target for policy in policies for step in policy.steps for target in step.targets}
        return steps.union(policy.catch_all for policy in policies)

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
        return in_force(self._silences.matching(facts.seen()), now) if self._silences else None

    def silences_of(self, facts: Facts) -> Sequence[SilenceRule]:
        """The silences that match, whenever they are in force, by id."""
        return list(self._silences.matching(facts.seen())) if self._silences else []

    def aggregated_by(self, facts: Facts) -> AggregationRule | None:
        """The first by id of the aggregation rules that match; its `group_of(facts)` names the group."""
        return next(self._aggregations.matching(facts.seen()), None) if self._aggregations else None

    def sides_of(self, facts: Facts) -> tuple[tuple[Side, ...], tuple[Side, ...]]:
        """What the alert is in inhibition rules: as a source, and as a target."""
        if not self._sources:
            return (), ()
        seen = facts.seen()
        return sides(self._sources.matching(seen), self._targets.matching(seen), seen)

    def standing(self, facts: Facts, now: datetime) -> Standing:
        """What the rules make of the alert at `now`; of one that is silenced nothing else is asked but what it inhibits."""
        silence = self.silenced_by(facts, now)
        sources, targets = self.sides_of(facts)
        if silence is not None:
            return Standing(silence=silence.quiet, sources=sources)
        aggregation = self.aggregated_by(facts)
        if aggregation is None:
            return Standing(sources=sources, targets=targets)
        key = GroupKey(aggregation.aggregation_rule_id, aggregation.group_of(facts))
        return Standing(group=key, window=aggregation.window, sources=sources, targets=targets)

    def silence(self, silence_rule_id: str) -> SilenceRule | None:
        """The silence with this id, unless it is over."""
        return self._by_silence.get(silence_rule_id)

    def inhibition(self, inhibition_rule_id: str) -> InhibitionRule | None:
        """The inhibition rule with this id."""
        return self._by_inhibition.get(inhibition_rule_id)

    def integration(self, integration_id: str) -> Integration | None:
        """The integration with this id."""
        return self._by_id.get(integration_id)

    def integration_by_key(self, routing_key: str, now: datetime) -> Integration | None:
        """The integration that this routing key leads to at `now`."""
        key = hashed(routing_key)
        found = self._integrations.get(key)
        return found if found is not None and found.knows(key, now) else None


def _compiled(texts: Iterable[str]) -> tuple[Matcher, ...]:
    return tuple(parse(text) for text in texts)
