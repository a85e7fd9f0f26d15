"""API keys: credentials of programs, and who may hand out which."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret; the fields are the columns."""

    api_key_id: str
    display_name: str
    subject: str
    scopes: tuple[str, ...]
    rate_limit: int
    secret_sha256: bytes
    expires_at: datetime | None
    created_at: datetime
    created_by: str
    last_used_at: datetime | None = None


def own_subject(api_key_id: str) -> str:
    """In whose name a key acts that was given no other."""
    return f"api-keys/{api_key_id}"


def beyond(wanted: Collection[str], held: Collection[str], *, admin: bool) -> list[str]:
    """The scopes that a caller cannot hand out because it lacks them itself."""
    return [] if admin else sorted({*wanted} - {*held})
