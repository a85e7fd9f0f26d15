"""How many calls a second each caller may make of this process: a bucket of tokens for each."""

import time
from dataclasses import dataclass
from datetime import timedelta

from chassis.auth import ADMIN, Principal
from chassis.errors import Exhausted
from identity.scopes import SERVICE

BURST = 2.0
"""Seconds' worth of calls that a caller may make at once."""
REMEMBERED = 10_000
"""Callers remembered at once; beyond that the full buckets are forgotten, which gives nobody anything."""


@dataclass(slots=True)
class Bucket:
    """What one caller has left."""

    rate: float
    left: float
    at: float

    def fill(self, now: float) -> None:
        """Adds what has come since it was looked at last."""
        self.left = min(self.rate * BURST, self.left + (now - self.at) * self.rate)
        self.at = now

    @property
    def wait(self) -> timedelta:
        """How long until the next call is allowed."""
        return timedelta(seconds=max(0.0, (1.0 - self.left) / self.rate))


class Limits:
    """Counts calls by API key, or by subject. A key's own limit goes first; services have none, and neither has
    `admin` without a limit of its own.
    """

    def __init__(self, rate: int) -> None:
        """`rate` is how many calls a second a caller without a limit of its own may make; 0 is any number."""
        self._rate = rate
        self._buckets: dict[str, Bucket] = {}

    def take(self, principal: Principal, now: float | None = None) -> Bucket | None:
        """Counts a call; the caller's bucket, None when there is no limit. Raises Exhausted when it is empty."""
        rate = principal.rate or self._default(principal)
        if not rate:
            return None
        now = time.monotonic() if now is None else now
        name = _name(principal)
        bucket = self._buckets.get(name)
        if bucket is None or bucket.rate != rate:
            self._forget(now)
            bucket = self._buckets[name] = Bucket(rate, rate * BURST, now)
        bucket.fill(now)
        if bucket.left < 1.0:
            raise Exhausted(
                f"more than {rate} calls a second: wait {bucket.wait.total_seconds():.3f} s",
                reason="RATE_LIMITED",
                retry_after=bucket.wait,
                facts={"limit": str(rate), "remaining": "0"},
            )
        bucket.left -= 1.0
        return bucket

    def of(self, principal: Principal) -> Bucket | None:
        """What a caller has left as of its last call; None when it has no limit."""
        return self._buckets.get(_name(principal))

    def _default(self, principal: Principal) -> int:
        if not principal.subject or SERVICE in principal.scopes or ADMIN in principal.scopes:
            return 0
        return self._rate

    def _forget(self, now: float) -> None:
        if len(self._buckets) < REMEMBERED:
            return
        for bucket in self._buckets.values():
            bucket.fill(now)
        self._buckets = {
            name: bucket for name, bucket in self._buckets.items() if bucket.left < bucket.rate * BURST
        }


def _name(principal: Principal) -> str:
    """A key counts by itself; subjects have a slash, which no id of a key has."""
    return principal.credential or f"/{principal.subject}"
