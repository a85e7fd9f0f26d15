"""The diagram of docs/alert-lifecycle.md says what the verbs do, no more and no less."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chassis.errors import Refused
from chassis.ids import uuid7
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import Alert, By, Change, Quiet, Report, Severity, State
from services.escalation.domain.quieting import quieted, released
from services.escalation.domain.reopening import forgotten, reopened, woken

PAGE = Path(__file__).parents[3] / "docs" / "alert-lifecycle.md"
NOW = datetime(2026, 11, 23, 3, 10, tzinfo=UTC)
BY = By("ada")
REPORT = Report("disk full", "", Severity.CRITICAL, "db-1", "k", {})
VERBS: dict[str, Callable[[Alert], Change]] = {
    "repeat": lambda alert: verbs.repeated(alert, triggers=1, now=NOW),
    "kept quiet": lambda alert: quieted(alert, Quiet("silence-rules/x"), NOW),
    "quiet no more": lambda alert: released(alert, NOW),
    "acknowledge": lambda alert: verbs.acknowledged(alert, BY, NOW),
    "close": lambda alert: verbs.closed(alert, BY, NOW),
    "escalate": lambda alert: verbs.escalated(alert, BY, 1, NOW),
    "reassign": lambda alert: verbs.reassigned(alert, BY, "responder://bob", NOW),
    "snooze": lambda alert: verbs.snoozed(alert, BY, NOW + timedelta(hours=1), NOW),
    "wake up": lambda alert: woken(alert._replace(snoozed_until=NOW), NOW),
    "reopen": lambda alert: reopened(alert, BY, NOW),
    "be forgotten": lambda alert: forgotten(alert, NOW),
    "comment": lambda alert: verbs.commented(alert, BY),
}


def fresh(quiet: Quiet | None = None) -> Alert:
    """An alert that has just been triggered."""
    return verbs.opened(REPORT, alert_id=uuid7(), policy_id="default", quiet=quiet, now=NOW).alert


def in_each_state() -> dict[State, Alert]:
    """One alert in each state, as the verbs bring it there."""
    alert = fresh()
    return {
        State.OPEN: alert,
        State.ACKED: verbs.acknowledged(alert, BY, NOW).alert,
        State.CLOSED: verbs.closed(alert, BY, NOW).alert,
        State.SUPPRESSED: fresh(Quiet("silence-rules/night")),
    }


def transitions() -> set[tuple[str, str, str]]:
    """Every change of state that the verbs make."""
    found: set[tuple[str, str, str]] = {
        ("[*]", "trigger", fresh().state),
        ("[*]", "trigger, kept quiet", fresh(Quiet("silence-rules/x")).state),
    }
    for state, alert in in_each_state().items():
        for name, verb in VERBS.items():
            try:
                after = verb(alert).alert.state
            except Refused:
                continue
            if after is not state:
                found.add((state, name, after))
    return found


def refusals() -> set[tuple[str, str]]:
    """Every verb that a state refuses."""
    found = set()
    for state, alert in in_each_state().items():
        for name, verb in VERBS.items():
            try:
                verb(alert)
            except Refused:
                found.add((str(state), name))
    return found


def test_the_diagram_shows_every_change_of_state() -> None:
    """Line for line."""
    drawn = set()
    for line in PAGE.read_text().splitlines():
        if arrow := re.fullmatch(r"\s+(\S+) --> (\S+): (.+)", line):
            drawn |= {(arrow[1], name, arrow[2]) for name in arrow[3].split(" / ")}
    assert drawn == transitions()


def test_the_table_names_every_refusal() -> None:
    """A state and the verbs that answer FAILED_PRECONDITION in it."""
    told = set()
    for line in PAGE.read_text().splitlines():
        if row := re.fullmatch(r"\| `([A-Z]+)` \| refuses (.+) \|", line):
            told |= {(row[1], name) for name in row[2].split(", ")}
    assert told == refusals()
