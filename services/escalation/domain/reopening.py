"""How an alert opens again: by a hand, when it wakes up, and when whoever has taken it has forgotten it."""

from datetime import datetime
from typing import assert_never

from services.escalation.domain.alert import (
    ActionType,
    Alert,
    By,
    Change,
    EventType,
    Happened,
    State,
    first_step,
    open_again,
    refusal,
)


def woken(alert: Alert, now: datetime) -> Change:
    """A snoozed alert wakes up: open, escalating from the first level. Nothing when it does not sleep."""
    match alert.state:
        case State.OPEN | State.ACKED if alert.snoozed_until is not None:
            return _from_the_start(alert, By(""), now)
        case State.OPEN | State.ACKED | State.CLOSED | State.SUPPRESSED:
            return Change(alert)
        case never:
            assert_never(never)


def forgotten(alert: Alert, now: datetime) -> Change:
    """Somebody has taken the alert and it was not heard of again: open, escalating from the first level.

    Nothing when nobody has it, or when it sleeps.
    """
    match alert.state:
        case State.ACKED if alert.snoozed_until is None:
            return _from_the_start(alert, By(""), now)
        case State.OPEN | State.ACKED | State.CLOSED | State.SUPPRESSED:
            return Change(alert)
        case never:
            assert_never(never)


def reopened(alert: Alert, by: By, now: datetime) -> Change:
    """Somebody opens an alert again that is taken, or wakes one that sleeps: it escalates from the first level.

    Nothing when it is open and awake. Raises Refused for a closed or suppressed alert.
    """
    match alert.state:
        case State.OPEN if alert.snoozed_until is None:
            return Change(alert)
        case State.OPEN | State.ACKED:
            return _from_the_start(alert, by, now)
        case State.CLOSED | State.SUPPRESSED:
            raise refusal(alert, "opened again")
        case never:
            assert_never(never)


def _from_the_start(alert: Alert, by: By, now: datetime) -> Change:
    again = open_again(alert)
    event = Happened(EventType.REOPENED, again, now, actor=by.actor, note=by.note)
    timer = first_step(alert.alert_id, now)
    return Change(again, (event,), ActionType.REOPEN, by, hush=True, timer=timer)
