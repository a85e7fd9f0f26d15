"""Secrets are made once, kept for their owner alone, and never silently made anew."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from cli.stack.child import StartError
from cli.stack.credentials import FILE, Credentials
from cli.stack.lock import locked


def test_the_same_secrets_the_next_time(tmp_path: Path) -> None:
    assert Credentials.kept_in(tmp_path) == Credentials.kept_in(tmp_path)


def test_only_the_owner_reads_them(tmp_path: Path) -> None:
    Credentials.kept_in(tmp_path)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_no_two_secrets_are_alike() -> None:
    made = Credentials.fresh()
    every = [
        made.postgres,
        *made.roles.values(),
        *made.nats.values(),
        made.token_key,
        made.receipt_key,
        made.secrets_key,
    ]
    assert len(set(every)) == len(every) == 13
    assert all(len(secret) == 64 for secret in every)


def test_an_older_data_directory_gets_the_key_that_it_lacks(tmp_path: Path) -> None:
    made = Credentials.kept_in(tmp_path)
    older = {name: value for name, value in asdict(made).items() if name != "secrets_key"}
    (tmp_path / FILE).write_text(json.dumps(older))
    now = Credentials.kept_in(tmp_path)
    assert len(now.secrets_key) == 64
    assert replace(now, secrets_key=made.secrets_key) == made
    assert Credentials.read(tmp_path) == now


@pytest.mark.parametrize("damage", ["", "{}", "[]", "{", '{"surprise": 1}'])
def test_damaged_secrets_are_an_error_and_stay_as_they_are(tmp_path: Path, damage: str) -> None:
    (tmp_path / FILE).write_text(damage)
    with pytest.raises(StartError, match="cannot be read"):
        Credentials.kept_in(tmp_path)
    assert (tmp_path / FILE).read_text() == damage


def test_a_directory_without_secrets_is_no_data_directory(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no data directory"):
        Credentials.read(tmp_path)


def test_a_data_directory_has_one_holder_at_a_time(tmp_path: Path) -> None:
    data = tmp_path / "data"
    refused = pytest.raises(StartError, match=r"in use by another tocsin up \(pid \d+\)")
    with locked(data), refused, locked(data):
        pytest.fail("both hold it")
    with locked(data):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match="file/data cannot be used"), locked(tmp_path / "file" / "data"):
        pytest.fail("it was made")
