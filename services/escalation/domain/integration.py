"""Integrations: where alerts come from, known by a routing key that is kept as a hash alone."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from chassis import validation
from chassis.errors import Problems

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
LONGEST = timedelta(days=30)
GRACE = timedelta(hours=24)
"""For how long a key that was replaced works, unless another time is asked for."""
INTEGRATIONS = "integrations/"
"""How a review is named that is about the alerts of an integration, before its id."""


@dataclass(frozen=True, slots=True)
class Flapping:
    """More than `threshold` openings of a dedup key within `window`, until it rests for `stable_after`."""

    threshold: int
    window: timedelta
    stable_after: timedelta


@dataclass(frozen=True, slots=True)
class Integration:
    """What a routing key leads to: a policy ('' for the one that matches) and labels added to every alert.

    `team_id` is the team whose members may edit it; empty: anybody may.
    """

    integration_id: str
    display_name: str
    policy_id: str
    labels: Mapping[str, str]
    routing_key_sha256: bytes
    created_at: datetime
    auto_close_after: timedelta | None = None
    flapping: Flapping | None = None
    previous_key_sha256: bytes | None = None
    previous_key_expires_at: datetime | None = None
    team_id: str = ""

    def knows(self, key_sha256: bytes, now: datetime) -> bool:
        """Whether a key leads here at `now`: the present one, or the one before it in its grace."""
        if key_sha256 == self.routing_key_sha256:
            return True
        until = self.previous_key_expires_at
        return key_sha256 == self.previous_key_sha256 and until is not None and now < until


def rotated(integration: Integration, routing_key: str, grace: timedelta, now: datetime) -> Integration:
    """The integration with a new key; the present one works for `grace` more, an earlier one no longer."""
    return replace(
        integration,
        routing_key_sha256=hashed(routing_key),
        previous_key_sha256=integration.routing_key_sha256,
        previous_key_expires_at=now + grace,
    )


def revoked(integration: Integration) -> Integration:
    """The integration with its present key alone."""
    return replace(integration, previous_key_sha256=None, previous_key_expires_at=None)


def new_routing_key() -> str:
    """A fresh key: 32 of 0-9 and a-f, 128 random bits."""
    return secrets.token_hex(16)


def hashed(routing_key: str) -> bytes:
    """What is kept of a key; its bits are random, so no slow hash is needed."""
    return sha256(routing_key.encode()).digest()


def check_integration(integration: Integration, problems: Problems) -> None:
    """Notes every field that is out of its limits; whether the policy exists is not asked here."""
    validation.name(problems, "integration_id", integration.integration_id)
    validation.text(problems, "display_name", integration.display_name, most=200)
    if integration.team_id:
        validation.name(problems, "team_id", integration.team_id)
    if integration.policy_id:
        validation.name(problems, "policy_id", integration.policy_id)
    validation.labels(problems, "labels", integration.labels, most=32)
    validation.span(problems, "auto_close_after", integration.auto_close_after, least=MINUTE, most=LONGEST)
    if integration.flapping is not None:
        _check_flapping(problems, integration.flapping)


def _check_flapping(problems: Problems, flapping: Flapping) -> None:
    validation.number(problems, "flapping.threshold", flapping.threshold, least=1, most=1_000)
    validation.span(problems, "flapping.window", flapping.window, least=MINUTE, most=DAY)
    validation.span(
        problems, "flapping.stable_after", flapping.stable_after, least=timedelta(seconds=1), most=DAY
    )
