"""Integrations: where alerts come from, known by a routing key that is kept as a hash alone."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from chassis import validation
from chassis.errors import Problems


@dataclass(frozen=True, slots=True)
class Integration:
    """What a routing key leads to: a policy ('' for the one that matches) and labels added to every alert."""

    integration_id: str
    display_name: str
    policy_id: str
    labels: Mapping[str, str]
    routing_key_sha256: bytes
    created_at: datetime


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
    if integration.policy_id:
        validation.name(problems, "policy_id", integration.policy_id)
    validation.labels(problems, "labels", integration.labels, most=32)
