"""The commands print what was asked for, and say what is wrong with how they were asked."""

from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from typer.testing import CliRunner, Result

from chassis.auth import Verifier
from chassis.errors import Unauthenticated
from cli.main import app
from cli.stack.credentials import Credentials
from cli.tokens import duration

KEY = "a key of the tests that is long enough for HS256"


def tocsin(*arguments: str, **environment: str | None) -> Result:
    """Runs the command with these variables and no other of ours."""
    names = ("TOKEN_KEY", "SECRETS_DIR", "ADMIN_DATABASE_URL", "ROSTER_PASSWORD", "ESCALATION_PASSWORD")
    clean: dict[str, str | None] = {f"TOCSIN_{name}": None for name in names}
    return CliRunner().invoke(app, arguments, env=clean | environment)


def test_a_token_carries_its_subject_and_scopes() -> None:
    done = tocsin(
        "token", "--subject", "ada", "--scope", "alerts:write", "--scope", "act-as", TOCSIN_TOKEN_KEY=KEY
    )
    principal = Verifier(KEY).principal(f"Bearer {done.stdout.strip()}")
    assert principal.subject == "ada"
    assert principal.scopes == {"alerts:write", "act-as"}


def test_a_token_of_another_key_is_not_valid() -> None:
    done = tocsin("token", "--subject", "ada", "--scope", "admin", TOCSIN_TOKEN_KEY=KEY)
    with pytest.raises(Unauthenticated):
        Verifier(KEY[::-1]).principal(f"Bearer {done.stdout.strip()}")


@pytest.mark.parametrize(("ttl", "lifetime"), [("90s", 90), ("24h", 86_400), ("never", None)])
def test_a_token_ends_when_it_was_asked_to(ttl: str, lifetime: int | None) -> None:
    made = tocsin("token", "--subject", "ada", "--scope", "admin", "--ttl", ttl, TOCSIN_TOKEN_KEY=KEY).stdout
    claims = jwt.decode(made.strip(), options={"verify_signature": False})
    assert ("exp" in claims) == (lifetime is not None)


def test_a_token_for_the_stack_of_a_data_directory(tmp_path: Path) -> None:
    key = Credentials.kept_in(tmp_path).token_key
    done = tocsin("token", "--subject", "ada", "--scope", "admin", "--data-dir", str(tmp_path))
    assert Verifier(key).principal(f"Bearer {done.stdout.strip()}").subject == "ada"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--subject", "ada", "--scope", "admin"], "TOCSIN_TOKEN_KEY"),
        (["--subject", "ada", "--scope", "admin", "--data-dir", "/nowhere"], "no data directory"),
        (["--subject", "ada", "--scope", "admin", "--ttl", "soon"], "is not a duration"),
        (["--subject", "ada"], "--scope"),
        (
            ["--subject", "ada", "--scope", "alerts:wirte"],
            "'alerts:wirte': no such scope; want some of admin",
        ),
        (["--scope", "admin"], "--subject"),
    ],
)
def test_a_token_that_cannot_be_made_says_why(arguments: list[str], complaint: str) -> None:
    done = tocsin("token", *arguments)
    assert done.exit_code == 2
    assert complaint in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1s", timedelta(seconds=1)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(days=1)),
        ("7d", timedelta(days=7)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert duration(text) == expected


@pytest.mark.parametrize("text", ["", "0s", "5", "h", "-1h", "1.5h", "1w", "1h ", "१h"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        duration(text)


def test_migrate_names_everything_that_is_not_set() -> None:
    done = tocsin("migrate", TOCSIN_ROSTER_PASSWORD="x")
    assert done.exit_code == 1
    assert "TOCSIN_ADMIN_DATABASE_URL" in done.output
    assert "TOCSIN_ESCALATION_PASSWORD" in done.output
    assert "TOCSIN_ROSTER_PASSWORD" not in done.output


def test_up_refuses_what_is_no_address(tmp_path: Path) -> None:
    done = tocsin("up", "--data-dir", str(tmp_path), "--gateway", "nowhere")
    assert done.exit_code == 2
    assert "HOST:PORT" in done.output


def test_an_ephemeral_up_does_not_touch_data_that_was_to_be_kept(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    done = tocsin("up", "--data-dir", str(tmp_path), "--gateway", "127.0.0.1:0", "--ephemeral")
    assert done.exit_code == 1
    assert "holds data" in done.output
    assert (tmp_path / "postgres").exists()
