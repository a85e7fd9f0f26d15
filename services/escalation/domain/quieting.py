"""How an alert that is there already falls silent, and how it is heard again."""

from datetime import datetime
from typing import assert_never

from services.escalation.domain.alert import (
    Alert,
    Change,
    EventType,
    Happened,
    Quiet,
    State,
    first_step,
    kind_of,
)


def quieted(alert: Alert, quiet: Quiet, now: datetime) -> Change:
    """Something begins to keep the alert quiet: everything that waits for it ends.

    Nothing happens to one that somebody has taken, that sleeps or is closed, or that the same keeps quiet already.
    """
    match alert.state:
        case State.OPEN if alert.snoozed_until is None:
            pass
        case State.SUPPRESSED if (alert.suppressed_by, alert.parent_alert_id) != quiet:
            pass
        case State.OPEN | State.SUPPRESSED | State.ACKED | State.CLOSED:
            return Change(alert)
        case never:
            assert_never(never)
    silent = alert._replace(
        state=State.SUPPRESSED,
        suppressed_by=quiet.by,
        parent_alert_id=quiet.parent_alert_id,
        version=alert.version + 1,
        exhausted_at=None,
    )
    return Change(silent, (Happened(kind_of(quiet), silent, now),), hush=True)


def released(alert: Alert, now: datetime) -> Change:
    """What has kept the alert quiet is gone: it opens, and escalates from the first level.

    Nothing happens to one that is not kept quiet.
    """
    match alert.state:
        case State.SUPPRESSED:
            loud = alert._replace(
                state=State.OPEN, suppressed_by="", parent_alert_id=None, version=alert.version + 1
            )
            event = Happened(EventType.OPENED, loud, now)
            return Change(loud, (event,), hush=True, timer=first_step(alert.alert_id, now))
        case State.OPEN | State.ACKED | State.CLOSED:
            return Change(alert)
        case never:
            assert_never(never)
