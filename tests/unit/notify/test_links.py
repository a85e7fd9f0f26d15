"""Receipt links: one route log, for a while, and nobody can make one."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.link import VALID_FOR, LinkProblem, Links

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROUTE, OTHER = UUID(int=7), UUID(int=8)
LINKS = Links(key=b"secret", public_url="https://tocsin.example/")


def test_the_url_carries_a_token_that_needs_no_escaping() -> None:
    url = LINKS.url(ROUTE, NOW)
    head, token = url.split("?token=")
    assert head == f"https://tocsin.example/api/alert/routes/{ROUTE}:receipt"
    assert len(token) == 48
    assert token.replace("-", "").replace("_", "").isalnum()
    assert LINKS.problem(token, ROUTE, NOW) is None


def test_it_expires_to_the_second() -> None:
    token = LINKS.token(ROUTE, NOW)
    end = NOW + VALID_FOR
    assert LINKS.problem(token, ROUTE, end - timedelta(microseconds=1)) is None
    assert LINKS.problem(token, ROUTE, end) is LinkProblem.EXPIRED


def test_it_is_for_one_route_log_and_one_key() -> None:
    token = LINKS.token(ROUTE, NOW)
    assert LINKS.problem(token, OTHER, NOW) is LinkProblem.INVALID
    assert Links(key=b"other", public_url="").problem(token, ROUTE, NOW) is LinkProblem.INVALID


def test_a_later_expiry_cannot_be_written_in() -> None:
    early, late = LINKS.token(ROUTE, NOW), LINKS.token(ROUTE, NOW + timedelta(days=1))
    assert LINKS.problem(late[:6] + early[6:], ROUTE, NOW) is LinkProblem.INVALID


@pytest.mark.parametrize("token", ["", "x", "é" * 48, "A" * 47, "A" * 49, "=" * 48, "%" * 48, "A" * 100_000])
def test_what_is_no_token(token: str) -> None:
    assert LINKS.problem(token, ROUTE, NOW) is LinkProblem.INVALID


@given(
    st.integers(0, 47), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
)
def test_any_changed_character_spoils_it(place: int, character: str) -> None:
    token = LINKS.token(ROUTE, NOW)
    changed = token[:place] + character + token[place + 1 :]
    assert (LINKS.problem(changed, ROUTE, NOW) is None) is (changed == token)
