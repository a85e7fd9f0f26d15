"""The stack is the one that options name, else the environment, else the data directory; it is never guessed."""

import json
from pathlib import Path

import pytest

from cli import where
from cli.where import Named, Unknown, Where, find

STATE = {"gateway": "http://127.0.0.1:1", "token": "of-the-stack", "nats": "nats://x"}
ENVIRONMENT = {"TOCSIN_GATEWAY": "http://env", "TOCSIN_TOKEN": "of-env", "TOCSIN_NATS_URL": "nats://env"}


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "stack.json").write_text(json.dumps(STATE))
    return tmp_path


def test_options_win_over_the_environment(data_dir: Path) -> None:
    assert find(Named(gateway="http://here/", token="mine"), ENVIRONMENT) == Where(
        "http://here", "mine", "nats://env"
    )
    assert find(Named(data_dir=data_dir), ENVIRONMENT) == Where(
        "http://127.0.0.1:1", "of-the-stack", "nats://x"
    )


def test_the_environment_wins_over_the_default_directory(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "DEFAULT_DIR", data_dir)
    assert find(Named(), ENVIRONMENT) == Where("http://env", "of-env", "nats://env")
    assert find(Named(), {}).token == "of-the-stack"


def test_a_token_of_ones_own_for_the_stack_of_a_directory(data_dir: Path) -> None:
    assert find(Named(data_dir=data_dir, token="mine"), {}) == Where("http://127.0.0.1:1", "mine", "nats://x")


def test_the_token_of_a_directory_goes_to_no_other_gateway(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, "DEFAULT_DIR", data_dir)
    with pytest.raises(Unknown, match="TOCSIN_TOKEN"):
        find(Named(gateway="elsewhere:8080"), {})


def test_a_gateway_without_a_scheme_speaks_http() -> None:
    assert find(Named(gateway="host:8080", token="t"), {}).gateway == "http://host:8080"


def test_what_is_missing_or_damaged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(where, "DEFAULT_DIR", tmp_path)
    with pytest.raises(Unknown, match="tocsin up"):
        find(Named(), {})
    with pytest.raises(Unknown, match=r"has no stack\.json"):
        find(Named(data_dir=tmp_path), {})
    for damaged in ("{", "[]", "{}"):
        (tmp_path / "stack.json").write_text(damaged)
        with pytest.raises(Unknown, match="cannot be read"):
            find(Named(data_dir=tmp_path), {})


@pytest.mark.parametrize(
    "gateway", ["http://[::1", "http://x:abc", "http://x:99999", "http://", "http://x:0"]
)
def test_an_address_that_is_none(gateway: str) -> None:
    with pytest.raises(Unknown, match="is no address of a gateway"):
        find(Named(gateway=gateway, token="t"), {})


@pytest.mark.parametrize("token", ["a\nb", "two words", "\N{SNOWMAN}", "\x1b[0m"])
def test_a_token_that_is_none_is_not_repeated(token: str) -> None:
    with pytest.raises(Unknown) as raised:
        find(Named(gateway="http://x", token=token), {})
    assert token not in str(raised.value)
