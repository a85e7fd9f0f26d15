"""What a channel answers to an attempt, and what follows from it."""

from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from services.notify.domain.contact_method import Severity
from services.notify.domain.decision import Decision
from services.notify.domain.patience import FAIL_OVER_AFTER, PATIENCE
from services.notify.domain.quiet_hours import QuietHours, over
from services.notify.domain.route import Kind, RouteLog, Status
from services.notify.domain.vault import Kept

LONGEST_REASON = 200
LONGEST_ERROR = 1_000
"""Characters of `last_error`."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel sends, in words that all channels share; each gives it a form of its own.

    `message_id` is the route log's id, the same on every attempt, and `thread` what messages about the same thing
    have in common: the alert's id. `address` and `secrets`, newest first, are in the clear, so a message is never
    logged. `type` says what happened, such as `alert.escalated`, at the moment `at`, and `data` the rest, as JSON has
    it: `alert`, `reason`, `level`, `responder_id`, `route_log_id`, `receipt_url`.
    """

    message_id: UUID
    address: str
    type: str
    at: datetime
    data: Mapping[str, Any]
    thread: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """The other side has taken it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later; not before `after`, when the other side asked for that.

    `silent` tells that the other side did not answer at all.
    """

    reason: str
    after: timedelta | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """It will never work; `disable` when the method will not work for any other page either."""

    reason: str
    disable: bool = False


Answer = Sent | Retry | Rejected


def reason(text: str) -> str:
    """Why something was not sent, in one line of at most 200 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_REASON]


class Sender(Protocol):
    """A way out: what each file of `channels` has."""

    def send(self, message: Message) -> Awaitable[Answer]:
        """One attempt, over within 10 s; never raises but when cancelled."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A route log that this process alone may try until `route.due_at`, with all that the attempt needs.

    `news` says what has happened, such as `alert.closed`, where it is not a page; `alert` is the alert then.
    """

    route: RouteLog
    alert: bytes
    reason: str
    level: int
    accepted_at: datetime
    enabled: bool | None
    disabled_reason: str
    kept: Kept
    severity: Severity
    bundle_window: timedelta
    per_minute: int
    news: str
    quiet_hours: tuple[QuietHours, ...] = ()

    @property
    def fresh(self) -> bool:
        """Whether it has never been sent, and what it travels with is not decided."""
        return self.route.attempts == 1 and self.route.bundle_id is None

    @property
    def urgent(self) -> bool:
        """Whether it goes whatever the quiet hours."""
        told = self.route.kind is Kind.NEWS or self.route.decision is Decision.TEST
        return told or self.severity is Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Parcel:
    """What travels as one message: a page alone, or a bundle, the worst first."""

    pages: tuple[Claimed, ...]

    @property
    def head(self) -> Claimed:
        """The page that the message is about, before all others."""
        return self.pages[0]

    @property
    def message_id(self) -> UUID:
        """The same on every attempt, whatever has been cancelled meanwhile."""
        return self.head.route.bundle_id or self.head.route.route_log_id

    def quiet_until(self, now: datetime) -> datetime | None:
        """When the quiet hours end that it has to wait for; None when it may go now, as it may when one page is CRITICAL.

        Tests are asked for, and news are for those who were paged.
        """
        quiet = self.head.quiet_hours
        if not quiet or any(page.urgent for page in self.pages):
            return None
        ends = over(quiet, now)
        return ends if ends > now else None


def parcels(pages: Iterable[Claimed]) -> list[Parcel]:
    """Pages by the message in which they travel."""
    found: dict[UUID, list[Claimed]] = {}
    for page in pages:
        found.setdefault(page.route.bundle_id or page.route.route_log_id, []).append(page)
    return [Parcel(tuple(sorted(some, key=_worst) if len(some) > 1 else some)) for some in found.values()]


def _worst(page: Claimed) -> tuple[int, UUID]:
    return list(Severity).index(page.severity), page.route.route_log_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt: the route log as it is afterwards, and whether its method is to be disabled."""

    route: RouteLog
    disable: str = ""


def hushed(route: RouteLog, until: datetime, now: datetime) -> RouteLog:
    """A claimed page that waits for quiet hours to end, as if this attempt had not been claimed.

    To be kept waiting is no failure. But a way that has failed before, or stands in for one that has, is not waited for: the
    person's next way is looked for now.
    """
    failing = route.attempts > 1 or route.decision is Decision.FAILED_OVER
    fail_over = now if failing else until + FAIL_OVER_AFTER
    expires = until + PATIENCE[route.channel].give_up_after
    return replace(
        route,
        attempts=route.attempts - 1,
        due_at=until,
        decision=Decision.QUIET_HOURS,
        fail_over_at=fail_over if route.fail_over_at else None,
        expires_at=max(route.expires_at or expires, expires),
    )


def unsendable(claimed: Claimed, now: datetime) -> Rejected | None:
    """Why a claimed page is not even tried: its method is gone or disabled, or its time is over."""
    if claimed.enabled is None:
        return Rejected("the contact method was deleted")
    if not claimed.enabled:
        return Rejected(f"the contact method is disabled: {claimed.disabled_reason or 'by hand'}")
    if claimed.route.expires_at is not None and now >= claimed.route.expires_at:
        return Rejected(f"given up after {claimed.route.attempts - 1} attempts: {claimed.route.last_error}")
    return None


def outcome(route: RouteLog, answer: Answer, now: datetime, *, jitter: float) -> Outcome:
    """What an answer makes of a claimed route log; `jitter` is a random number from 0 to 1.

    What failed for good, or is tried again only after its time to fail over, fails over at once.
    """
    match answer:
        case Sent():
            sent = replace(
                route, status=Status.SENT, sent_at=now, last_error="", due_at=None, fail_over_at=None
            )
            return Outcome(sent)
        case Retry(reason, after):
            due = now + PATIENCE[route.channel].pause(route.attempts, after, jitter=jitter)
            if route.expires_at is not None and due >= route.expires_at:
                return _failed(route, f"given up after {route.attempts} attempts: {reason}", now)
            fail_over = now if route.fail_over_at and route.fail_over_at < due else route.fail_over_at
            return Outcome(
                replace(route, last_error=reason[:LONGEST_ERROR], due_at=due, fail_over_at=fail_over)
            )
        case Rejected(reason, disable):
            return _failed(route, reason, now, disable=reason if disable else "")


def _failed(route: RouteLog, reason: str, now: datetime, *, disable: str = "") -> Outcome:
    failed = replace(
        route,
        status=Status.FAILED,
        last_error=reason[:LONGEST_ERROR],
        due_at=None,
        fail_over_at=route.given_up_at(now),
    )
    return Outcome(failed, disable=disable)
