"""What an escalation step becomes: one inbox item per recipient, and one route log per method that is used."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from chassis.ids import uuid7
from services.notify.domain.contact_method import Channel, ContactMethod, Severity
from services.notify.domain.decision import Decision
from services.notify.domain.patience import FAIL_OVER_AFTER, PATIENCE
from services.notify.domain.route import RouteLog, Status

TEST = "TEST"
"""The reason of a page that was only asked for as a test."""
TRIAL = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Page:
    """An escalation step to be told; `alert` is the alert as it was, serialised, `alert_version` its version."""

    execution_id: UUID
    alert_id: UUID
    alert_version: int
    alert: bytes
    severity: Severity
    reason: str
    level: int
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """An alert that somebody has taken or closed: by which event, at which version, by whom, and as it was then."""

    alert_id: UUID
    version: int
    type: str
    by: str
    alert: bytes


def planned(page: Page, methods: Iterable[ContactMethod], now: datetime) -> list[RouteLog]:
    """The route logs of a page: the inbox for everyone, sent at once, then one for each method of theirs.

    `methods` are those of the recipients; others are left out. A method is due when its delay has passed and its quiet
    hours are over; one that is not used for this page is written as skipped, with the reason.
    """
    recipients = set(page.recipients)
    routes = [_in_app(page, responder, now) for responder in dict.fromkeys(page.recipients)]
    theirs = [method for method in methods if method.responder_id in recipients]
    return routes + [_by(method, page, now) for method in sorted(theirs, key=lambda m: m.place)]


def responders(pages: Iterable[Page]) -> list[str]:
    """Everyone who is told by some of the pages, in alphabetical order."""
    return sorted({responder for page in pages for responder in page.recipients})


def trial(method: ContactMethod, alert: Callable[[UUID], bytes], now: datetime) -> tuple[Page, RouteLog]:
    """A test page by one method, due now and tried for five minutes; `alert` makes the alert that it shows."""
    alert_id = uuid7()
    page = Page(
        execution_id=uuid7(),
        alert_id=alert_id,
        alert_version=1,
        alert=alert(alert_id),
        severity=Severity.CRITICAL,
        reason=TEST,
        level=0,
        recipients=(method.responder_id,),
    )
    route = replace(
        _by(method, page, now),
        due_at=now,
        expires_at=now + TRIAL,
        decision=Decision.TEST,
        delay=timedelta(),
        fail_over_at=None,
    )
    return page, route


def _in_app(page: Page, responder_id: str, now: datetime) -> RouteLog:
    """An inbox item is there once it is written: there is nothing left to send."""
    return RouteLog(
        route_log_id=uuid7(),
        execution_id=page.execution_id,
        alert_id=page.alert_id,
        responder_id=responder_id,
        channel=Channel.IN_APP,
        contact_method_id="",
        address="",
        status=Status.SENT,
        attempts=1,
        last_error="",
        created_at=now,
        sent_at=now,
        read_at=None,
        due_at=None,
        expires_at=None,
        position=None,
        decision=Decision.PLANNED,
        delay=timedelta(),
        fail_over_at=None,
        failed_over_at=None,
    )


def _by(method: ContactMethod, page: Page, now: datetime) -> RouteLog:
    due = method.due(page.severity, now)
    skipped = method.skipped_for(page.severity)
    quiet = due > now + method.delay
    return RouteLog(
        route_log_id=uuid7(),
        execution_id=page.execution_id,
        alert_id=page.alert_id,
        responder_id=method.responder_id,
        channel=method.channel,
        contact_method_id=method.contact_method_id,
        address=method.address,
        status=Status.SKIPPED if skipped else Status.PENDING,
        attempts=0,
        last_error="",
        created_at=now,
        sent_at=None,
        read_at=None,
        due_at=None if skipped else due,
        expires_at=None if skipped else due + PATIENCE[method.channel].give_up_after,
        position=None,
        decision=skipped or (Decision.QUIET_HOURS if quiet else Decision.PLANNED),
        delay=due - now,
        fail_over_at=None if skipped else due + FAIL_OVER_AFTER,
        failed_over_at=None,
    )
