"""API keys as bearer tokens: 256 random bits, known by their SHA-256, looked up in memory."""

import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from chassis.auth import Principal
from chassis.errors import Unauthenticated

PREFIX = "tocsin_"
ALPHABET = string.digits + string.ascii_letters
LENGTH = 43
"""Characters of 62 that hold 256 bits."""


def new_secret() -> str:
    """A fresh secret: the prefix and 256 random bits in letters and digits."""
    number, text = secrets.randbits(256), ""
    for _ in range(LENGTH):
        number, place = divmod(number, len(ALPHABET))
        text = ALPHABET[place] + text
    return PREFIX + text


def hashed(secret: str) -> bytes:
    """What is kept of a secret; random bits need no slow hash."""
    return sha256(secret.encode()).digest()


@dataclass(frozen=True, slots=True)
class Held:
    """Whose a key is and until when, in Unix seconds."""

    principal: Principal
    expires_at: float = float("inf")


Keys = Mapping[bytes, Held]
"""Every key that is not revoked, by the SHA-256 of its secret."""


class KeySource(Protocol):
    """Knows the keys, and when somebody has told it of others."""

    @property
    def keys(self) -> Keys:
        """The keys as they are known now; raises Unavailable when nobody has told of them, or too long ago."""

    async def news(self, patience: float) -> None:
        """Returns when it has been told again, or after `patience` seconds."""

    def use(self, api_key_id: str) -> None:
        """Notes that a key is used now."""


def find(keys: Keys, secret: str) -> Principal | None:
    """Whose key this is; None when there is none with this secret. Raises Unauthenticated when it has expired."""
    held = keys.get(hashed(secret))
    if held is None:
        return None
    if held.expires_at <= time.time():
        raise Unauthenticated("the API key has expired", reason="KEY_EXPIRED")
    return held.principal
