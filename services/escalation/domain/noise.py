"""Rules against noise: aggregation puts alerts behind the first of a group, inhibition behind one that explains them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import NamedTuple

from chassis import validation
from chassis.errors import Problems
from services.escalation.domain.facts import Facts
from services.escalation.domain.matcher import check_matchers

SECOND, DAY = timedelta(seconds=1), timedelta(hours=24)

AGGREGATIONS, INHIBITIONS = "aggregation-rules/", "inhibition-rules/"
"""How a rule is named that keeps an alert quiet, before its id."""
FLAPPING = "flapping"
"""How an alert's own flapping is named."""


@dataclass(frozen=True, slots=True)
class AggregationRule:
    """Alerts of one group that come within `window` of its first one stand behind it.

    `team_id` is the team whose members may edit it; empty: anybody may.
    """

    aggregation_rule_id: str
    matchers: tuple[str, ...]
    group_by: tuple[str, ...]
    window: timedelta
    created_at: datetime
    team_id: str = ""

    def group_of(self, facts: Facts) -> str:
        """The key of the alert's group, 32 characters: the same for the same values of `group_by`, and only then.

        A missing label counts as ''. The key says nothing of the rule.
        """
        return _key(self.group_by, facts.seen())


@dataclass(frozen=True, slots=True)
class InhibitionRule:
    """A firing alert that the source matchers match keeps those quiet that the target matchers match.

    Both must have the same values of the labels in `equal`. `team_id` is the team whose members may edit it; empty:
    anybody may.
    """

    inhibition_rule_id: str
    source_matchers: tuple[str, ...]
    target_matchers: tuple[str, ...]
    equal: tuple[str, ...]
    created_at: datetime
    team_id: str = ""

    def key_of(self, seen: Mapping[str, str]) -> str:
        """The same for the same values of `equal`, and only then."""
        return _key(self.equal, seen)


class Side(NamedTuple):
    """An alert's part in an inhibition rule, as a source or as a target.

    `both`: it would be the other too. Two such alerts do not inhibit each other, nor themselves.
    """

    rule_id: str
    key: str
    both: bool


def sides(
    sources: Iterable[InhibitionRule], targets: Iterable[InhibitionRule], seen: Mapping[str, str]
) -> tuple[tuple[Side, ...], tuple[Side, ...]]:
    """What an alert is by the rules that it matches as a source, and as a target."""
    source_of = {rule.inhibition_rule_id: rule for rule in sources}
    target_of = {rule.inhibition_rule_id: rule for rule in targets}
    return (
        tuple(Side(name, rule.key_of(seen), name in target_of) for name, rule in source_of.items()),
        tuple(Side(name, rule.key_of(seen), name in source_of) for name, rule in target_of.items()),
    )


def _key(names: Iterable[str], seen: Mapping[str, str]) -> str:
    values = json.dumps([seen.get(name, "") for name in names])
    return blake2b(values.encode(), digest_size=16).hexdigest()


def check_aggregation(rule: AggregationRule, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "aggregation_rule_id", rule.aggregation_rule_id)
    if rule.team_id:
        validation.name(problems, "team_id", rule.team_id)
    check_matchers(problems, rule.matchers, least=1)
    _check_names(problems, "group_by", rule.group_by)
    validation.span(problems, "window", rule.window, least=SECOND, most=DAY)


def check_inhibition(rule: InhibitionRule, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "inhibition_rule_id", rule.inhibition_rule_id)
    if rule.team_id:
        validation.name(problems, "team_id", rule.team_id)
    check_matchers(problems, rule.source_matchers, least=1, path="source_matchers")
    check_matchers(problems, rule.target_matchers, least=1, path="target_matchers")
    _check_names(problems, "equal", rule.equal)


def _check_names(problems: Problems, path: str, names: tuple[str, ...]) -> None:
    """Names of labels, each once."""
    validation.count(problems, path, names, most=20)
    for place, name in enumerate(names):
        validation.text(problems, f"{path}[{place}]", name, most=128, required=True)
        if name in names[:place]:
            problems.add(f"{path}[{place}]", f"{name[:64]!r} is named twice")
