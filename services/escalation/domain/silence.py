"""Silences: matching alerts are kept quiet from a start until an end, or in windows that recur."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chassis import validation
from chassis.errors import Problems
from services.escalation.domain.alert import SILENCES, Quiet
from services.escalation.domain.matcher import MatcherError, check_matchers, parse
from services.escalation.domain.recurrence import Recurrence, check_recurrence, coming

FOREVER = validation.LATEST
"""The end of a silence that recurs without one."""


class SilenceState(StrEnum):
    """Where a silence is in its life; one that recurs is PENDING between two windows."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """Keeps matching alerts quiet from `starts_at` until `ends_at`, the end not included.

    With a recurrence only in its windows between the two; that one may go on for ever. `team_id` is the team whose
    members may end it; empty: anybody may.
    """

    silence_rule_id: str
    matchers: tuple[str, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    created_at: datetime
    recurrence: Recurrence | None = None
    team_id: str = ""

    @property
    def quiet(self) -> Quiet:
        """What it is to an alert."""
        return Quiet(SILENCES + self.silence_rule_id)

    def window(self, now: datetime) -> tuple[datetime, datetime] | None:
        """The window in force at `now`, else the next one; None when it is over."""
        if now >= self.ends_at:
            return None
        if self.recurrence is None:
            return self.starts_at, self.ends_at
        since = max(now, self.starts_at).replace(minute=0, second=0, microsecond=0)
        for start, end in coming(self.recurrence, self.starts_at, since):
            if start >= self.ends_at:
                return None
            if end > now:
                return start, min(end, self.ends_at)
        return None

    def state(self, now: datetime) -> SilenceState:
        """Where it is in its life at `now`."""
        window = self.window(now)
        if window is None:
            return SilenceState.EXPIRED
        return SilenceState.ACTIVE if now >= window[0] else SilenceState.PENDING

    def in_force(self, now: datetime) -> bool:
        """Whether it silences at `now`."""
        if not self.starts_at <= now < self.ends_at:
            return False
        return self.recurrence is None or self.state(now) is SilenceState.ACTIVE

    def begins(self, now: datetime) -> bool:
        """Whether a window begins at this very instant."""
        window = self.window(now)
        return window is not None and window[0] == now

    def changes_at(self, now: datetime) -> datetime | None:
        """When it next begins or ceases to silence; None when it is over."""
        window = self.window(now)
        return None if window is None else window[0] if now < window[0] else window[1]


def in_force(rules: Iterable[SilenceRule], now: datetime) -> SilenceRule | None:
    """The first of the rules that silences at `now`."""
    return next((rule for rule in rules if rule.in_force(now)), None)


def next_change(rules: Iterable[SilenceRule], now: datetime) -> datetime | None:
    """When the next of the rules begins or ceases to silence, after `now`; None when all are over."""
    return min((at for rule in rules if (at := rule.changes_at(now)) is not None), default=None)


def expire(rule: SilenceRule, now: datetime) -> SilenceRule:
    """Ends the silence at `now`; one that is over stays as it is, one that has not begun never does."""
    if rule.state(now) is SilenceState.EXPIRED:
        return rule
    return replace(rule, starts_at=min(rule.starts_at, now), ends_at=now)


def check_silence(rule: SilenceRule, problems: Problems) -> None:
    """Notes every field that is out of its limits."""
    validation.name(problems, "silence_rule_id", rule.silence_rule_id)
    if rule.team_id:
        validation.name(problems, "team_id", rule.team_id)
    check_matchers(problems, rule.matchers, least=1)
    _check_narrow(problems, rule.matchers)
    validation.text(problems, "created_by", rule.created_by, most=200)
    validation.text(problems, "comment", rule.comment, most=1024)
    if rule.recurrence is not None:
        check_recurrence(problems, "recurrence", rule.recurrence, rule.starts_at)


def _check_narrow(problems: Problems, matchers: tuple[str, ...]) -> None:
    """A silence that the empty string passes would silence alerts that carry none of its labels."""
    try:
        wide = bool(matchers) and all(parse(text).matches("") for text in matchers)
    except MatcherError:
        return
    if wide:
        problems.add("matchers", "all of them match the empty string; want at least one that does not")
