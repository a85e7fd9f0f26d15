"""Which contact methods are valid, and which alerts they are used for."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from services.notify.domain.contact_method import (
    Channel,
    ContactMethod,
    Severity,
    generated_secret,
    secret_key,
    url_problem,
)
from services.notify.domain.decision import Decision


def a_method(
    responder: str = "alice", *, least: Severity = Severity.INFO, enabled: bool = True
) -> ContactMethod:
    return ContactMethod(
        contact_method_id=f"{responder}-hook",
        responder_id=responder,
        channel=Channel.WEBHOOK,
        address="https://example.org/hook",
        enabled=enabled,
        min_severity=least,
        delay=timedelta(),
        disabled_reason="",
        request_id=None,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def test_a_method_is_used_for_what_is_bad_enough() -> None:
    skipped = {s: a_method(least=Severity.HIGH).skipped_for(s) for s in Severity}
    assert {s for s, why in skipped.items() if why is None} == {Severity.CRITICAL, Severity.HIGH}
    assert skipped[Severity.MEDIUM] is Decision.BELOW_SEVERITY
    assert not any(a_method().skipped_for(severity) for severity in Severity)
    assert a_method(enabled=False).skipped_for(Severity.CRITICAL) is Decision.DISABLED


def test_a_generated_secret_is_a_key() -> None:
    key = secret_key(generated_secret())
    assert key is not None
    assert len(key) == 32


@pytest.mark.parametrize(("size", "valid"), [(23, False), (24, True), (64, True), (65, False)])
def test_a_key_has_24_to_64_bytes(size: int, valid: bool) -> None:
    secret = "whsec_" + base64.b64encode(bytes(size)).decode()
    assert (secret_key(secret) is not None) is valid


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%%", "secret_" + "A" * 32, "whsec_" + "A" * 33])
def test_what_is_no_key(secret: str) -> None:
    assert secret_key(secret) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://example.org",
        "http://example.org:8080/a/b?c=d#e",
        "https://[2a00:1450::1]/x",
        "https://bücher.example/x",
    ],
)
def test_urls_that_are_accepted(address: str) -> None:
    assert url_problem(address) == ""


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "scheme"),
        ("ftp://example.org", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("https://", "names no host"),
        ("https:///path", "names no host"),
        ("https://example.org:0/", "names no host and port"),
        ("https://example.org:99999/", "not a URL"),
        ("https://[::1/", "not a URL"),
        ("https://user:pass@example.org/", "user name"),
        ("https://example.org/a b", "space"),
        ("https://example.org/\r\nx: y", "control character"),
        ("https://example.org/" + "a" * 2048, "at most 2048"),
    ],
)
def test_urls_that_are_refused_say_why(address: str, problem: str) -> None:
    assert problem in url_problem(address)
