"""How a responder can be reached, and which alerts a method is used for."""

import base64
import binascii
import os
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from services.notify.domain.decision import Decision
from services.notify.domain.quiet_hours import QuietHours, over

LONGEST_ADDRESS = 2_048
LONGEST_EMAIL = 254
LONGEST_DELAY = timedelta(hours=24)
LAST_PLACE = 1_000
SECRET_PREFIX = "whsec_"  # noqa: S105  # the prefix that Standard Webhooks gives to keys
SECRET_BYTES = range(24, 65)
GENERATED_BYTES = 32

_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_DOMAIN = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.I
)


class Channel(StrEnum):
    """By what a page travels."""

    IN_APP = "IN_APP"
    WEBHOOK = "WEBHOOK"
    EMAIL = "EMAIL"
    CHAT = "CHAT"


class Severity(StrEnum):
    """How bad an alert is, worst first."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFO = "INFO"

    def reaches(self, least: "Severity") -> bool:
        """Whether it is at least as bad as `least`."""
        order = list(Severity)
        return order.index(self) <= order.index(least)


@dataclass(frozen=True, slots=True)
class ContactMethod:
    """One way to reach one responder.

    `disabled_reason` says why it was disabled by itself, `order` is its place among the person's methods, and
    `verified_at` when the person confirmed the address, for the channels that ask for it. What is secret is sealed: then
    `address` is what anybody may see. `old_secret` signs, too, until the moment given.
    Pages within `bundle_window` travel together, and no more than `per_minute` messages go by it; 0 is for no limit.
    """

    contact_method_id: str
    responder_id: str
    channel: Channel
    address: str
    enabled: bool
    min_severity: Severity
    delay: timedelta
    disabled_reason: str
    request_id: str | None
    created_at: datetime
    order: int = 0
    quiet_hours: tuple[QuietHours, ...] = ()
    notify_on_resolve: bool = False
    verified_at: datetime | None = None
    sealed_address: bytes | None = None
    sealed_secret: bytes | None = None
    old_secret: bytes | None = None
    old_secret_until: datetime | None = None
    bundle_window: timedelta = timedelta()
    per_minute: int = 0

    @property
    def verified(self) -> bool:
        """Whether it counts: only a webhook does without having been confirmed."""
        return self.channel is Channel.WEBHOOK or self.verified_at is not None

    @property
    def place(self) -> tuple[int, timedelta, str]:
        """What the methods of a person are ordered by."""
        return self.order, self.delay, self.contact_method_id

    def due(self, severity: Severity, now: datetime) -> datetime:
        """When a page of now is sent by it: after its delay and its quiet hours, which CRITICAL ignores."""
        due = now + self.delay
        return due if severity is Severity.CRITICAL else over(self.quiet_hours, due)

    def skipped_for(self, severity: Severity) -> Decision | None:
        """Why an alert of this severity is not sent by it; None when it is."""
        if not self.enabled:
            return Decision.DISABLED
        if not self.verified:
            return Decision.UNVERIFIED
        return None if severity.reaches(self.min_severity) else Decision.BELOW_SEVERITY


def generated_secret() -> str:
    """A fresh key for signing webhooks."""
    return SECRET_PREFIX + base64.b64encode(os.urandom(GENERATED_BYTES)).decode()


def secret_key(secret: str) -> bytes | None:
    """The key inside `whsec_…`; None when it is not `whsec_` and base64 of 24 to 64 bytes."""
    if not secret.startswith(SECRET_PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) in SECRET_BYTES else None


def url_problem(address: str) -> str:
    """What keeps an address from being the URL of a webhook; empty when nothing does."""
    if len(address) > LONGEST_ADDRESS:
        return f"has {len(address)} characters; want at most {LONGEST_ADDRESS}"
    if not address.isprintable() or " " in address:
        return "holds a space or a control character; want an http or https URL"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return f"is not a URL: {error}"
    if parts.scheme not in ("http", "https"):
        return f"has the scheme {parts.scheme[:20]!r}; want http or https"
    if not host or port == 0:
        return "names no host and port to connect to; want like https://example.org/hook"
    if "@" in parts.netloc:
        return "holds a user name or password; want a URL without, what is sent is signed"
    return ""


def email_problem(address: str) -> str:
    """What keeps an address from being one for e-mail; empty when nothing does.

    ASCII alone, without quotes and comments: what every mail server takes, and nothing that could be a second header.
    """
    if len(address) > LONGEST_EMAIL:
        return f"has {len(address)} characters; want at most {LONGEST_EMAIL}"
    local, at, domain = address.rpartition("@")
    if not at or len(local) > 64 or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        return "is not an e-mail address; want one like 'ada@example.org', a domain beyond ASCII as xn--…"
    return ""
