"""Signed receipt links: whoever holds one may report on one route log until it expires, and nobody can make one."""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

VALID_FOR = timedelta(days=7)
PURPOSE = b"tocsin receipt link 1"
_HEAD = struct.Struct(">I")
_SIZE = _HEAD.size + hashlib.sha256().digest_size


class LinkProblem(StrEnum):
    """Why a link is not accepted."""

    INVALID = "RECEIPT_LINK_INVALID"
    EXPIRED = "RECEIPT_LINK_EXPIRED"


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks links with a key that nobody else has; `public_url` is where the gateway answers."""

    key: bytes
    public_url: str
    valid_for: timedelta = VALID_FOR

    def url(self, route_log_id: UUID, now: datetime) -> str:
        """The link to report on a route log."""
        token = self.token(route_log_id, now)
        return f"{self.public_url.rstrip('/')}/api/alert/routes/{route_log_id}:receipt?token={token}"

    def token(self, route_log_id: UUID, now: datetime) -> str:
        """48 characters: when it expires, to the second, and HMAC-SHA256 over that and the route log's id."""
        head = _HEAD.pack(int((now + self.valid_for).timestamp()))
        return base64.urlsafe_b64encode(head + self._mac(route_log_id, head)).decode()

    def problem(self, token: str, route_log_id: UUID, now: datetime) -> LinkProblem | None:
        """Why a token does not allow to report on the route log now; None when it does."""
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except ValueError:
            return LinkProblem.INVALID
        head, mac = raw[: _HEAD.size], raw[_HEAD.size :]
        if len(raw) != _SIZE or not hmac.compare_digest(mac, self._mac(route_log_id, head)):
            return LinkProblem.INVALID
        (seconds,) = _HEAD.unpack(head)
        return LinkProblem.EXPIRED if now >= datetime.fromtimestamp(seconds, UTC) else None

    def _mac(self, route_log_id: UUID, head: bytes) -> bytes:
        return hmac.digest(self.key, PURPOSE + route_log_id.bytes + head, hashlib.sha256)
