"""Confirming that an address is the person's: a code is sent to it, and the person says which."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

CODE_DIGITS = 8
VALID_FOR = timedelta(minutes=10)
MOST_TRIES = 5
"""Wrong codes after which a code is void: of 10^8 codes five are no risk."""
MOST_CODES, WITHIN = 5, timedelta(hours=1)
"""How many codes are sent to one method, so that nobody is flooded with them."""
PAUSE = timedelta(seconds=30)


class TooSoon(StrEnum):
    """Why no code is sent now."""

    JUST_SENT = "CODE_JUST_SENT"
    TOO_MANY = "TOO_MANY_CODES"


class Wrong(StrEnum):
    """Why a code does not confirm an address."""

    NONE_SENT = "NO_CODE_SENT"
    EXPIRED = "CODE_EXPIRED"
    VOID = "CODE_VOID"
    CODE = "CODE_WRONG"


@dataclass(frozen=True, slots=True)
class Verification:
    """The last code of a method, as a keyed digest, how often it was tried, and how many there were since when."""

    contact_method_id: str
    digest: bytes
    sent_at: datetime
    tries: int
    codes: int
    since: datetime


def new_code() -> str:
    """A code that nobody can guess."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def refused(known: Verification | None, now: datetime) -> TooSoon | None:
    """Why no further code is sent now; None when one is."""
    if known is None:
        return None
    if now < known.sent_at + PAUSE:
        return TooSoon.JUST_SENT
    many = known.codes >= MOST_CODES and now < known.since + WITHIN
    return TooSoon.TOO_MANY if many else None


def renewed(known: Verification | None, contact_method_id: str, digest: bytes, now: datetime) -> Verification:
    """The state after a further code: the one before is void."""
    if known is None or now >= known.since + WITHIN:
        return Verification(contact_method_id, digest, now, tries=0, codes=1, since=now)
    return replace(known, digest=digest, sent_at=now, tries=0, codes=known.codes + 1)


def tried(
    known: Verification | None, digests: Sequence[bytes], now: datetime
) -> tuple[Verification | None, Wrong | None]:
    """The state after somebody said a code, given by its digests, and why it is not the one; None when it is."""
    if known is None:
        return None, Wrong.NONE_SENT
    if now >= known.sent_at + VALID_FOR:
        return known, Wrong.EXPIRED
    if known.tries >= MOST_TRIES:
        return known, Wrong.VOID
    if any(secrets.compare_digest(known.digest, digest) for digest in digests):
        return known, None
    return replace(known, tries=known.tries + 1), Wrong.CODE
