"""Identifiers: UUIDv7 for what the system records, validated names for what people configure."""

import os
import re
import time
from uuid import UUID

from chassis.errors import Invalid

NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Ids of configured resources (CONTRACT §1)."""
_VERSION_7 = 0x7 << 76 | 0b10 << 62
"""Version and variant of a UUIDv7, in their places."""
_FREE = (1 << 128) - 1 & ~(0xF << 76 | 0b11 << 62)


def uuid7() -> UUID:
    """A time-ordered UUID (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    ms, rest = time.time_ns() // 1_000_000, int.from_bytes(os.urandom(10), "big")
    return UUID(int=(ms << 80 | rest) & _FREE | _VERSION_7)


def generated_name(prefix: str) -> str:
    """A fresh id for a configured resource whose creator did not choose one, like `policy-8f2k…`."""
    return f"{prefix}-{os.urandom(6).hex()}"


def parse_uuid(text: str, field: str) -> UUID:
    """Reads a UUID out of a request.

    Raises Invalid, naming the field, when the text is not one.
    """
    try:
        return UUID(text)
    except ValueError:
        raise Invalid.field(field, f"{text[:64]!r} is not a UUID") from None
