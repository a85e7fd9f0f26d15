"""One page to one person by one channel, and the one order in which its status moves."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.notify.domain.contact_method import Channel
from services.notify.domain.decision import Decision


class Status(StrEnum):
    """How far a page has come. The order of the members is the only way that it moves.

    What is known to have reached the person counts more than a failure reported before; a cancelled page that was
    under way counts as sent when the other side has taken it. What was skipped was never to be sent, and stays so.
    """

    PENDING = "PENDING"
    CANCELLED = "CANCELLED"
    SENT = "SENT"
    FAILED = "FAILED"
    DELIVERED = "DELIVERED"
    READ = "READ"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    SKIPPED = "SKIPPED"

    @property
    def place(self) -> int:
        """Its place in the order, from 0."""
        return _PLACES[self]


class Kind(StrEnum):
    """What is told by a route log."""

    PAGE = "PAGE"
    """That somebody is needed."""
    NEWS = "NEWS"
    """That nobody is needed any more: to those who were paged and want to hear of it."""


_PLACES = {status: place for place, status in enumerate(Status)}


def moved(status: Status, news: Status) -> Status:
    """The status after some news: the later of the two in the order of Status."""
    return news if news.place > status.place else status


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side said of a page: `at` as it says, `recorded_at` by our clock."""

    route_log_id: UUID
    receipt_id: str
    status: Status
    detail: str
    at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class RouteLog:
    """One page to one person by one channel.

    `due_at` is when it is tried next while it is PENDING, and doubles as the end of the lease while it is being
    tried. `expires_at` is when trying ends. `position` is its place in the responder's inbox, for IN_APP alone.
    `delay` is how long after the page it was to be used. `fail_over_at` is when the person's next way is used instead
    of waiting for this one, and `failed_over_at` when that was decided. Route logs with one `bundle_id` travel in one
    message, whose id that is.
    """

    route_log_id: UUID
    execution_id: UUID
    alert_id: UUID
    responder_id: str
    channel: Channel
    contact_method_id: str
    address: str
    status: Status
    attempts: int
    last_error: str
    created_at: datetime
    sent_at: datetime | None
    read_at: datetime | None
    due_at: datetime | None
    expires_at: datetime | None
    position: int | None
    decision: Decision
    delay: timedelta
    fail_over_at: datetime | None
    failed_over_at: datetime | None
    kind: Kind = Kind.PAGE
    bundle_id: UUID | None = None

    @property
    def is_way(self) -> bool:
        """Whether it is a way to get hold of the person: nobody is woken by the inbox, and news and tests may fail."""
        tried = self.kind is Kind.PAGE and self.decision is not Decision.TEST
        return tried and self.channel is not Channel.IN_APP

    def given_up_at(self, now: datetime) -> datetime | None:
        """When its failure is to be looked into: now, unless its way was given up before."""
        return now if self.is_way and self.failed_over_at is None else None
