"""Codes that confirm an address: few, short-lived, and void after some wrong tries."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from services.notify.domain.verification import (
    MOST_CODES,
    MOST_TRIES,
    PAUSE,
    VALID_FOR,
    WITHIN,
    TooSoon,
    Verification,
    Wrong,
    new_code,
    refused,
    renewed,
    tried,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RIGHT, WRONG = b"right", b"wrong"


def sent() -> Verification:
    return renewed(None, "mail", RIGHT, NOW)


def test_codes_are_eight_digits_and_differ() -> None:
    codes = {new_code() for _ in range(100)}
    assert all(len(code) == 8 and code.isdigit() for code in codes)
    assert len(codes) > 90


def test_the_right_code_confirms_until_it_expires() -> None:
    assert tried(sent(), [WRONG, RIGHT], NOW + VALID_FOR - timedelta(seconds=1)) == (sent(), None)
    assert tried(sent(), [RIGHT], NOW + VALID_FOR)[1] is Wrong.EXPIRED
    assert tried(None, [RIGHT], NOW) == (None, Wrong.NONE_SENT)


def test_after_five_wrong_tries_not_even_the_right_code_does() -> None:
    known: Verification | None = sent()
    for _ in range(MOST_TRIES):
        known, wrong = tried(known, [WRONG], NOW)
        assert wrong is Wrong.CODE
    assert tried(known, [RIGHT], NOW)[1] is Wrong.VOID
    assert tried(renewed(known, "mail", RIGHT, NOW), [RIGHT], NOW)[1] is None


def test_codes_come_with_pauses_and_a_few_an_hour() -> None:
    assert refused(None, NOW) is None
    assert refused(sent(), NOW + PAUSE - timedelta(seconds=1)) is TooSoon.JUST_SENT
    known, now = sent(), NOW
    for _ in range(MOST_CODES - 1):
        now += PAUSE
        assert refused(known, now) is None
        known = renewed(known, "mail", RIGHT, now)
    assert refused(known, now + PAUSE) is TooSoon.TOO_MANY
    assert refused(known, NOW + WITHIN) is None
    assert renewed(known, "mail", RIGHT, NOW + WITHIN) == replace(
        sent(), sent_at=NOW + WITHIN, since=NOW + WITHIN
    )
