"""The whole matrix of states and verbs, and what each legal move leaves behind."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Refused
from services.escalation.domain import alert as verbs
from services.escalation.domain.alert import (
    ActionType,
    Alert,
    By,
    Change,
    EventType,
    Quiet,
    Report,
    Severity,
    State,
)
from services.escalation.domain.quieting import quieted, released
from services.escalation.domain.reopening import forgotten, reopened, woken
from services.escalation.domain.timer import Kind, Reason, Timer

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
UNTIL = NOW + timedelta(hours=1)
ID = UUID(int=7)
BY = By("alice", "on it")
REPORT = Report("disk full", "97 %", Severity.HIGH, "db-1", "k", {"team": "db"})
SILENCE, NIGHT = Quiet("silence-rules/quiet"), Quiet("silence-rules/night")
FIRST = Timer(ID, Kind.ESCALATE, LATER)


def opened(quiet: Quiet | None = None) -> Alert:
    """An alert as it opens."""
    return verbs.opened(REPORT, alert_id=ID, policy_id="p", quiet=quiet, now=NOW).alert


def in_state(state: State) -> Alert:
    """An alert that has come to a state by verbs."""
    match state:
        case State.OPEN:
            return opened()
        case State.ACKED:
            return verbs.acknowledged(opened(), By("bob"), NOW).alert
        case State.CLOSED:
            return verbs.closed(opened(), By("bob"), NOW).alert
        case State.SUPPRESSED:
            return opened(SILENCE)


VERBS: dict[str, Callable[[Alert], Change]] = {
    "repeat": lambda alert: verbs.repeated(alert, triggers=3, now=LATER),
    "quiet": lambda alert: quieted(alert, NIGHT, LATER),
    "release": lambda alert: released(alert, LATER),
    "acknowledge": lambda alert: verbs.acknowledged(alert, BY, LATER),
    "close": lambda alert: verbs.closed(alert, BY, LATER),
    "comment": lambda alert: verbs.commented(alert, BY),
    "escalate": lambda alert: verbs.escalated(alert, BY, 2, LATER),
    "reassign": lambda alert: verbs.reassigned(alert, BY, "responder://carol", LATER),
    "snooze": lambda alert: verbs.snoozed(alert, BY, UNTIL, LATER),
    "wake": lambda alert: woken(alert, LATER),
    "reopen": lambda alert: reopened(alert, BY, LATER),
    "be forgotten": lambda alert: forgotten(alert, LATER),
}
OPEN, ACKED, CLOSED, SUPPRESSED = State.OPEN, State.ACKED, State.CLOSED, State.SUPPRESSED
REFUSED = None

MATRIX: dict[str, dict[State, tuple[State, str] | None]] = {
    "repeat": {
        OPEN: (OPEN, "repeated"),
        ACKED: (ACKED, "repeated"),
        CLOSED: REFUSED,
        SUPPRESSED: (SUPPRESSED, "repeated"),
    },
    "quiet": {
        OPEN: (SUPPRESSED, "suppressed"),
        ACKED: (ACKED, ""),
        CLOSED: (CLOSED, ""),
        SUPPRESSED: (SUPPRESSED, "suppressed"),
    },
    "release": {OPEN: (OPEN, ""), ACKED: (ACKED, ""), CLOSED: (CLOSED, ""), SUPPRESSED: (OPEN, "opened")},
    "acknowledge": {
        OPEN: (ACKED, "acknowledged"),
        ACKED: (ACKED, ""),
        CLOSED: REFUSED,
        SUPPRESSED: (ACKED, "acknowledged"),
    },
    "close": {
        OPEN: (CLOSED, "closed"),
        ACKED: (CLOSED, "closed"),
        CLOSED: (CLOSED, ""),
        SUPPRESSED: (CLOSED, "closed"),
    },
    "comment": {OPEN: (OPEN, ""), ACKED: (ACKED, ""), CLOSED: (CLOSED, ""), SUPPRESSED: (SUPPRESSED, "")},
    "escalate": {OPEN: (OPEN, ""), ACKED: (OPEN, "reopened"), CLOSED: REFUSED, SUPPRESSED: REFUSED},
    "reassign": {
        OPEN: (OPEN, "reassigned"),
        ACKED: (OPEN, "reassigned"),
        CLOSED: REFUSED,
        SUPPRESSED: REFUSED,
    },
    "snooze": {OPEN: (OPEN, "snoozed"), ACKED: (ACKED, "snoozed"), CLOSED: REFUSED, SUPPRESSED: REFUSED},
    "wake": {OPEN: (OPEN, ""), ACKED: (ACKED, ""), CLOSED: (CLOSED, ""), SUPPRESSED: (SUPPRESSED, "")},
    "reopen": {OPEN: (OPEN, ""), ACKED: (OPEN, "reopened"), CLOSED: REFUSED, SUPPRESSED: REFUSED},
    "be forgotten": {
        OPEN: (OPEN, ""),
        ACKED: (OPEN, "reopened"),
        CLOSED: (CLOSED, ""),
        SUPPRESSED: (SUPPRESSED, ""),
    },
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", VERBS)
def test_the_matrix(verb: str, state: State) -> None:
    """Every verb in every state: refused, or where it leads and what it tells."""
    before, expected = in_state(state), MATRIX[verb][state]
    if expected is REFUSED:
        with pytest.raises(Refused) as raised:
            VERBS[verb](before)
        assert raised.value.reason == f"ALERT_{state}"
        return
    change = VERBS[verb](before)
    told = " ".join(event.type.removeprefix("alert.") for event in change.events)
    assert (change.alert.state, told) == expected
    assert change.alert.version == before.version + len(change.events)
    assert [event.alert.version for event in change.events] == [
        before.version + n for n in range(1, len(change.events) + 1)
    ]
    if change.events:
        assert change.events[-1].alert == change.alert


def test_the_matrix_is_whole() -> None:
    """No verb and no state is forgotten."""
    assert MATRIX.keys() == VERBS.keys()
    assert all(row.keys() == set(State) for row in MATRIX.values())


def test_an_alert_opens_and_escalates_at_once() -> None:
    """With all that was reported."""
    change = verbs.opened(REPORT, alert_id=ID, policy_id="p", quiet=None, now=NOW)
    alert = change.alert
    assert (alert.title, alert.labels, alert.severity) == ("disk full", {"team": "db"}, Severity.HIGH)
    assert (alert.state, alert.opened_at, alert.trigger_count, alert.version) == (OPEN, NOW, 1, 1)
    assert change.timer == Timer(ID, Kind.ESCALATE, NOW, level=1, round=0, reason=Reason.INITIAL)
    assert change.events[0].type is EventType.OPENED


def test_a_quiet_alert_waits_for_nothing() -> None:
    """It says what keeps it quiet."""
    silenced = verbs.opened(REPORT, alert_id=ID, policy_id="p", quiet=SILENCE, now=NOW)
    assert (silenced.alert.suppressed_by, silenced.timer) == ("silence-rules/quiet", None)
    assert silenced.events[0].type is EventType.SUPPRESSED
    behind = Quiet("aggregation-rules/storm", UUID(int=1))
    change = verbs.opened(REPORT, alert_id=ID, policy_id="p", quiet=behind, now=NOW)
    assert (change.alert.parent_alert_id, change.timer) == (UUID(int=1), None)
    assert change.events[0].type is EventType.NOISE_SUPPRESSED


def test_a_repeat_counts() -> None:
    """Every trigger that it stands for."""
    change = VERBS["repeat"](in_state(ACKED))
    assert (change.alert.trigger_count, change.alert.last_triggered_at) == (4, LATER)
    assert (change.events[0].triggers, change.hush, change.timer) == (3, False, None)


def test_what_nothing_keeps_quiet_opens_and_escalates_at_once() -> None:
    """From the first level, and it stands behind nobody any more."""
    change = VERBS["release"](opened(Quiet("aggregation-rules/storm", UUID(int=1))))
    assert (change.alert.parent_alert_id, change.alert.suppressed_by, change.timer) == (None, "", FIRST)
    assert change.hush


def test_what_is_quieted_waits_for_nothing() -> None:
    """It says by what, and whether that is somebody's wish or found to be noise."""
    change = VERBS["quiet"](in_state(OPEN))
    assert (change.alert.suppressed_by, change.hush, change.timer) == (NIGHT.by, True, None)
    behind = quieted(in_state(OPEN), Quiet("inhibition-rules/power", UUID(int=1)), LATER)
    assert behind.alert.parent_alert_id == UUID(int=1)
    assert behind.events[0].type is EventType.NOISE_SUPPRESSED
    assert quieted(change.alert, NIGHT, UNTIL) == Change(change.alert)


def test_what_sleeps_is_quiet_already() -> None:
    """It wakes up first."""
    asleep = VERBS["snooze"](in_state(OPEN)).alert
    assert quieted(asleep, NIGHT, LATER) == Change(asleep)


def test_the_first_to_acknowledge_keeps_the_credit() -> None:
    """And everything that waits ends."""
    change = VERBS["acknowledge"](opened())
    assert (change.alert.acked_by, change.alert.acked_at, change.action) == ("alice", LATER, ActionType.ACK)
    assert (change.hush, change.timer, change.by) == (True, None, BY)
    again = verbs.acknowledged(change.alert, By("bob"), UNTIL)
    assert again == Change(change.alert)


def test_the_first_to_close_keeps_the_credit() -> None:
    """Also of what somebody else has acknowledged."""
    change = VERBS["close"](in_state(ACKED))
    assert (change.alert.acked_by, change.alert.closed_by, change.alert.closed_at) == ("bob", "alice", LATER)
    assert (change.hush, change.action) == (True, ActionType.CLOSE)
    assert verbs.closed(change.alert, By("bob"), UNTIL) == Change(change.alert)


def test_escalating_by_hand_keeps_pages_under_way() -> None:
    """What was told before is still to be sent; only an alert that is taken or asleep begins anew."""
    change = VERBS["escalate"](opened())
    assert change.timer == Timer(ID, Kind.ESCALATE, LATER, level=2, reason=Reason.MANUAL)
    assert not change.hush
    assert VERBS["escalate"](in_state(ACKED)).hush
    asleep = VERBS["snooze"](opened()).alert
    awake = VERBS["escalate"](asleep)
    assert (awake.hush, awake.alert.snoozed_until) == (True, None)


def test_reassigning_stays_at_the_level() -> None:
    """The other is told in place of the level's targets."""
    change = VERBS["reassign"](in_state(ACKED)._replace(escalation_level=2))
    assert change.timer == Timer(
        ID, Kind.ESCALATE, LATER, level=2, reason=Reason.MANUAL, targets=("responder://carol",)
    )
    assert (change.alert.acked_by, change.alert.acked_at) == ("", None)


def test_a_snoozed_alert_wakes_up_open() -> None:
    """Whoever had taken it."""
    asleep = VERBS["snooze"](in_state(ACKED))
    assert asleep.timer == Timer(ID, Kind.WAKE, UNTIL)
    assert asleep.alert.snoozed_until == UNTIL
    awake = woken(asleep.alert, UNTIL)
    assert (awake.alert.state, awake.alert.acked_by, awake.alert.snoozed_until) == (OPEN, "", None)
    assert [event.type for event in awake.events] == [EventType.REOPENED]
    assert (awake.action, awake.by.actor) == (ActionType.REOPEN, "")
    assert awake.timer == FIRST._replace(due_at=UNTIL)


def test_whoever_reopens_is_told_of() -> None:
    """With the note; a timer has no name. It wakes what sleeps as well."""
    change = VERBS["reopen"](in_state(ACKED))
    assert (change.action, change.by, change.hush, change.timer) == (ActionType.REOPEN, BY, True, FIRST)
    assert (change.events[0].actor, change.events[0].note) == ("alice", "on it")
    assert VERBS["be forgotten"](in_state(ACKED)).events[0].actor == ""
    awake = VERBS["reopen"](VERBS["snooze"](opened()).alert)
    assert (awake.alert.snoozed_until, awake.timer) == (None, FIRST)


def test_what_is_acknowledged_may_be_forgotten_for_a_while_only() -> None:
    """One that sleeps wakes up by itself."""
    change = verbs.acknowledged(opened(), BY, LATER, reopen_after=timedelta(hours=1))
    assert change.timer == Timer(ID, Kind.REOPEN, LATER + timedelta(hours=1))
    asleep = VERBS["snooze"](change.alert)
    assert asleep.hush
    assert forgotten(asleep.alert, UNTIL) == Change(asleep.alert)


@pytest.mark.parametrize("verb", ["acknowledge", "close", "snooze", "reassign"])
def test_what_somebody_cares_for_is_exhausted_no_more(verb: str) -> None:
    """Only a further step or somebody's doing ends it."""
    lost = opened()._replace(exhausted_at=NOW)
    assert VERBS[verb](lost).alert.exhausted_at is None
    assert VERBS["repeat"](lost).alert.exhausted_at == NOW


@given(st.lists(st.sampled_from(sorted(VERBS)), max_size=12), st.sampled_from([None, SILENCE]))
def test_whatever_is_done_the_alert_makes_sense(done: list[str], quiet: Quiet | None) -> None:
    """Versions grow with events alone, credit and state agree, and only an open alert may wait to escalate."""
    alert = opened(quiet)
    timers: dict[Kind, Timer] = {} if quiet else {Kind.ESCALATE: FIRST}
    for verb in done:
        try:
            change = VERBS[verb](alert)
        except Refused:
            continue
        assert change.alert.version == alert.version + len(change.events)
        if change.hush:
            timers.clear()
        if change.timer is not None:
            timers[change.timer.kind] = change.timer
        alert = change.alert
        assert (alert.acked_at is None) == (alert.acked_by == "")
        assert (alert.closed_at is None) == (alert.state is not CLOSED)
        assert (alert.state is ACKED) <= (alert.acked_at is not None)
        assert (alert.suppressed_by != "") >= (alert.state is SUPPRESSED)
        assert (Kind.ESCALATE in timers) <= (alert.state is OPEN)
        assert (Kind.WAKE in timers) == (alert.snoozed_until is not None)
        assert len(timers) <= 1
