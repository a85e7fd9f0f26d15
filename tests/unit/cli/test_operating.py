"""Commands for operators answer, refuse and miss the stack in ways that scripts can tell apart."""

import json
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.api import Api, Refused, Unreachable
from cli.main import COMMANDS, app
from cli.output import printable
from cli.where import Where

ROOT = Path(__file__).parents[3]
PAGES = "/api/alert/things?page_size="


@contextmanager
def gateway(answers: dict[str, tuple[int, bytes]]) -> Iterator[str]:
    """Something at an address that answers each path as given."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[self.path]
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def tocsin(*arguments: str) -> Result:
    """Runs the command with nothing of ours in the environment."""
    clean: dict[str, str | None] = dict.fromkeys(("TOCSIN_GATEWAY", "TOCSIN_TOKEN", "TOCSIN_NATS_URL"))
    return CliRunner().invoke(app, arguments, env=clean)


def test_a_list_is_read_to_its_end_or_to_what_was_asked_for() -> None:
    first = {"things": [{"n": 1}, {"n": 2}], "next_page_token": "t"}
    last = {"things": [{"n": 3}], "next_page_token": ""}
    pages = {
        f"{PAGES}1000": (200, json.dumps(first).encode()),
        f"{PAGES}1000&page_token=t": (200, json.dumps(last).encode()),
        f"{PAGES}2": (200, json.dumps(first).encode()),
    }
    with gateway(pages) as url:
        api = Api(Where(url, "t"))
        assert [one["n"] for one in api.each("/things", "things")] == [1, 2, 3]
        assert [one["n"] for one in api.each("/things", "things", most=2)] == [1, 2]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (404, b'{"error": {"status": "NOT_FOUND", "message": "no"}}', Refused),
        (429, b'{"error": {"status": "RESOURCE_EXHAUSTED", "message": "slower"}}', Refused),
        (503, b'{"error": {"status": "UNAVAILABLE", "message": "away"}}', Unreachable),
        (200, b"<html>", Unreachable),
        (502, b"bad gateway", Unreachable),
        (404, b'{"detail": "of somebody else"}', Unreachable),
    ],
)
def test_a_refusal_is_not_an_absence(status: int, body: bytes, expected: type[Exception]) -> None:
    with gateway({"/api/alert/x": (status, body)}) as url, pytest.raises(expected):
        Api(Where(url, "t")).get("/x")


def test_exit_codes() -> None:
    refusal = b'{"error": {"code": 404, "status": "NOT_FOUND", "message": "no policy x"}}'
    with gateway({"/api/alert/escalation-policies/x": (404, refusal)}) as url:
        named = ("--gateway", url, "--token", "t")
        refused = tocsin("policy", "show", "x", *named)
        assert (refused.exit_code, refused.stderr) == (1, "tocsin: no policy x\n")
        as_json = tocsin("policy", "show", "x", "--json", *named)
        assert json.loads(as_json.stderr)["error"]["status"] == "NOT_FOUND"
        assert as_json.stdout == ""
        assert tocsin("oncall", "--at", "soon", *named).exit_code == 2
        assert tocsin("alerts", "snooze", "x", "never", *named).exit_code == 2
        assert tocsin("alerts", "trigger", "x", "--label", "no", *named).exit_code == 2
        assert tocsin("policy", "show", "x", "--gateway", url).exit_code == 2
    away = tocsin("policy", "show", "x", *named)
    assert away.exit_code == 3
    assert "does not answer" in away.stderr
    assert tocsin("status", *named).exit_code == 3
    assert tocsin("tail", "--nats", "nats://x:y@127.0.0.1:1").exit_code == 3


@pytest.mark.parametrize("name", [name for commands in COMMANDS.values() for name in commands])
def test_every_command_helps(name: str) -> None:
    done = tocsin(name, "--help")
    assert done.exit_code == 0
    assert f"tocsin {name}" in done.stdout


def below(*path: str) -> list[str]:
    """The commands of a group; none for a command."""
    listed = tocsin(*path, "--help").stdout.partition("Commands")[2].splitlines()
    return [line.split()[1] for line in listed if line.startswith("│ ") and not line.startswith("│  ")]


def commands(*path: str) -> Iterator[tuple[str, ...]]:
    """A command, or all that there are in a group."""
    verbs = below(*path)
    if not verbs:
        yield path
    for verb in verbs:
        yield from commands(*path, verb)


@pytest.mark.parametrize("name", COMMANDS["On call"])
def test_every_operators_command_has_examples_and_json(name: str) -> None:
    for words in commands(name):
        said = tocsin(*words, "--help").stdout
        assert "--json" in said, words
        assert f" tocsin {' '.join(words)}" in said.partition("Examples")[2], words


def documented() -> list[list[str]]:
    """The words of every command in docs/cli.md."""
    found = re.findall(r"`(tocsin [a-z][^`]*)`", (ROOT / "docs" / "cli.md").read_text())
    return [shlex.split(text) for text in found]


def test_the_documentation_has_every_operators_command_and_no_option_that_is_not_there() -> None:
    said = documented()
    for name in COMMANDS["On call"]:
        assert any(words[1] == name for words in said), name
    for words in said:
        path = words[1:2]
        while len(words) > len(path) + 1 and words[len(path) + 1] in below(*path):
            path.append(words[len(path) + 1])
        done = tocsin(*path, "--help")
        assert done.exit_code == 0, words
        for option in (word for word in words if word.startswith("--")):
            assert f" {option} " in done.stdout, words


def test_a_mistyped_command_is_recognised() -> None:
    done = tocsin("alrts")
    assert done.exit_code == 2
    assert "Did you mean 'alerts'" in done.output


def test_starting_imports_nothing_heavy() -> None:
    heavy = ("grpc", "aiohttp", "asyncio", "nats", "google.protobuf", "yaml", "rich.console", "sqlalchemy")
    code = (
        "import sys; from cli.main import app; import cli.alerts.commands, cli.status, cli.declared.commands\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_an_answer_that_cannot_be_written() -> None:
    """Is told as any failure is."""
    page = b'{"silence_rules": [], "next_page_token": ""}'
    with (
        gateway({"/api/alert/silence-rules?page_size=1000": (200, page)}) as url,
        Path("/dev/full").open("w") as full,
    ):
        told = ["silence", "list", "--all", "--gateway", url, "--token", "t"]
        done = subprocess.run(
            [sys.executable, "-m", "cli", *told], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (1, "tocsin: No space left on device\n")


def test_what_senders_write_moves_no_cursor() -> None:
    assert printable("a\x1b[31mb\r\x9b\x07 ✓\tc\n") == "a�[31mb��� ✓\tc\n"
