"""Secrets at rest: sealed with a key from the environment, which can be replaced without losing what it sealed."""

import hashlib
import hmac
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SHORTEST_KEY = 32
"""Characters of a key."""
VERSION = b"\x01"
_NAME, _NONCE = 4, 12
_PURPOSE = b"tocsin secrets 1"


class Unopened(ValueError):
    """What is sealed cannot be opened: by no key that is known, or it was changed or moved."""


class Sealer:
    """Seals with the first of its keys and opens with any (AES-256-GCM).

    What is sealed names its key and belongs to one place: it does not open as something else.
    """

    def __init__(self, keys: str) -> None:
        """`keys` are separated by commas, the one to seal with first. Raises ValueError for one that is too short."""
        texts = [key.strip() for key in keys.split(",") if key.strip()]
        if not texts or any(len(text) < SHORTEST_KEY for text in texts):
            raise ValueError(f"want keys of at least {SHORTEST_KEY} characters, separated by commas")
        self._keys = [_Key(text) for text in texts]

    def seal(self, text: str, *, place: str) -> bytes:
        """The text, sealed for a place such as `contact-methods/x/secret`."""
        first, nonce = self._keys[0], os.urandom(_NONCE)
        return VERSION + first.name + nonce + first.cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, sealed: bytes, *, place: str) -> str:
        """The text that was sealed for the place. Raises Unopened."""
        name, body = sealed[1 : 1 + _NAME], sealed[1 + _NAME :]
        for key in self._keys:
            if sealed[:1] == VERSION and key.name == name:
                try:
                    return key.cipher.decrypt(body[:_NONCE], body[_NONCE:], place.encode()).decode()
                except (InvalidTag, ValueError):
                    raise Unopened(f"{place} was changed or is not from there") from None
        raise Unopened(f"{place} is sealed with a key that TOCSIN_SECRETS_KEY does not have")

    @property
    def prefix(self) -> bytes:
        """What everything begins with that the first key has sealed."""
        return VERSION + self._keys[0].name

    def digests(self, *parts: str) -> Sequence[bytes]:
        """A keyed digest of some texts by each key, the first key's first: it tells nothing to whoever has no key."""
        content = b"\0".join(part.encode() for part in parts)
        return [hmac.digest(key.digesting, content, hashlib.sha256) for key in self._keys]


class _Key:
    def __init__(self, text: str) -> None:
        derived = HKDF(algorithm=SHA256(), length=64, salt=None, info=_PURPOSE).derive(text.encode())
        self.cipher = AESGCM(derived[:32])
        self.digesting = derived[32:]
        self.name = hashlib.sha256(_PURPOSE + derived).digest()[:_NAME]
