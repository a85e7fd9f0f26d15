"""Rules against noise: silences keep matching alerts quiet, aggregation puts them behind the first of a group."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import blake2b

from chassis import validation
from chassis.errors import Problems
from services.escalation.domain.facts import Facts
from services.escalation.domain.matcher import MatcherError, check_matchers, parse

SECOND, DAY = timedelta(seconds=1), timedelta(hours=24)


class SilenceState(StrEnum):
    """Where a silence is in its life."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """Keeps matching alerts quiet from `starts_at` until `ends_at`, the end not included."""

    silence_rule_id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    created_at: datetime

    def state(self, now: datetime) -> SilenceState:
        """Where it is in its life at `now`."""
        if now >= self.ends_at:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if now >= self.starts_at else SilenceState.PENDING

    def in_force(self, now: datetime) -> bool:
        """Whether it silences at `now`."""
        return self.starts_at <= now < self.ends_at


@dataclass(frozen=True, slots=True)
class AggregationRule:
    """Alerts of one group that come within `window` of its first one stand behind it."""

    aggregation_rule_id: str
    matchers: tuple[str, ...]
    group_by: tuple[str, ...]
    window: timedelta
    created_at: datetime

    def group_of(self, facts: Facts) -> str:
        """The key of the alert's group, 32 characters: the same for the same values of `group_by`, and only then.

        A missing label counts as ''. The key says nothing of the rule.
        """
        seen = facts.seen()
        values = json.dumps([seen.get(name, "") for name in self.group_by])
        return blake2b(values.encode(), digest_size=16).hexdigest()


def expire(rule: SilenceRule, now: datetime) -> SilenceRule:
    """Ends the silence at `now`; one that is over stays as it is, one that has not begun never does."""
    match rule.state(now):
        case SilenceState.EXPIRED:
            return rule
        case SilenceState.ACTIVE:
            return replace(rule, ends_at=now)
        case SilenceState.PENDING:
            return replace(rule, starts_at=now, ends_at=now)


def check_silence(rule: SilenceRule, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "silence_rule_id", rule.silence_rule_id)
    check_matchers(problems, rule.matchers, least=1)
    _check_narrow(problems, rule.matchers)
    validation.text(problems, "created_by", rule.created_by, most=200)
    validation.text(problems, "comment", rule.comment, most=1024)


def _check_narrow(problems: Problems, matchers: tuple[str, ...]) -> None:
    """A silence that the empty string passes would silence alerts that carry none of its labels."""
    try:
        wide = bool(matchers) and all(parse(text).matches("") for text in matchers)
    except MatcherError:
        return
    if wide:
        problems.add("matchers", "all of them match the empty string; want at least one that does not")


def check_aggregation(rule: AggregationRule, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "aggregation_rule_id", rule.aggregation_rule_id)
    check_matchers(problems, rule.matchers, least=1)
    validation.count(problems, "group_by", rule.group_by, most=20)
    for place, name in enumerate(rule.group_by):
        validation.text(problems, f"group_by[{place}]", name, most=128, required=True)
        if name in rule.group_by[:place]:
            problems.add(f"group_by[{place}]", f"{name[:64]!r} is named twice")
    validation.span(problems, "window", rule.window, least=SECOND, most=DAY)
