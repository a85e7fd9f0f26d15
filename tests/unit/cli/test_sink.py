"""The simulated receiver believes what is signed by any of its secrets, and does what it is told."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
import sys
import time
from typing import Any

import aiohttp
import pytest
from typer.testing import CliRunner

from cli.main import app
from cli.receiver import Received, Receiver, key_of, new_secret, receiving
from cli.sink import line
from tests.fixtures.eventually import BORN, eventually

DATA = {"alert": {"title": "disk full"}, "responder_id": "ada", "level": 1, "reason": "INITIAL"}


def signed(*secrets: str, at: float | None = None, **data: Any) -> dict[str, Any]:
    """The arguments of a POST of a page that is signed by each of the secrets."""
    body = json.dumps({"type": "alert.escalated", "data": DATA | data}).encode()
    seconds = str(int(at or time.time()))
    content = f"id-1.{seconds}.".encode() + body
    macs = (hmac.digest(key_of(one), content, hashlib.sha256) for one in secrets)
    signatures = " ".join(f"v1,{base64.b64encode(mac).decode()}" for mac in macs)
    head = {"webhook-id": "id-1", "webhook-timestamp": seconds, "webhook-signature": signatures}
    return {"data": body, "headers": head}


async def test_it_believes_any_of_its_secrets_and_no_other() -> None:
    first, second, unknown = new_secret(), new_secret(), new_secret()
    receiver = Receiver(secrets=[first, second])
    async with receiving(receiver), aiohttp.ClientSession() as http:

        async def said(**request: Any) -> int:
            async with http.post(receiver.url, **request) as answer:
                return answer.status

        assert await said(**signed(first)) == 204
        assert await said(**signed(second)) == 204
        assert await said(**signed(unknown, second)) == 204, (
            "while a secret is replaced there are two signatures"
        )
        assert await said(**signed(unknown)) == 401
        assert await said(**signed(first, at=time.time() - 301)) == 401, "an old one may be a replay"
        changed = signed(first)
        assert await said(data=changed["data"] + b" ", headers=changed["headers"]) == 401
        assert await said(data=b"{}", headers={}) == 401
        assert (
            await said(
                **signed(first) | {"headers": signed(first)["headers"] | {"webhook-signature": "v1,ä"}}
            )
            == 401
        )
        async with http.post(receiver.url.replace("/page", "/secrets"), json={"secret": unknown}) as answer:
            assert await answer.json() == {"secrets": 3}
        assert await said(**signed(unknown)) == 204
    assert (len(receiver.pages), receiver.refused) == (4, 5)


async def test_it_does_what_it_is_told_while_it_runs() -> None:
    async with receiving() as receiver, aiohttp.ClientSession() as http:
        base = receiver.url.removesuffix("/page")

        async def told(path: str, said: object) -> int:
            call = http.put if path == "/behaviour" else http.post
            async with call(base + path, json=said) as answer:
                return answer.status

        for wrong in ({"status": 99}, {"status": "503"}, {"delay": -1}, {"hang": "no"}, {"slow": 1}, [1]):
            assert await told("/behaviour", wrong) == 400, wrong
        for wrong in ({}, [], {"secret": 1}, {"secret": "whsec_"}, {"secret": "x"}):
            assert await told("/secrets", wrong) == 400, wrong
        assert await told("/behaviour", {"status": 503, "delay": 0.01}) == 200
        async with http.post(receiver.url, **signed(receiver.secret)) as answer:
            assert answer.status == 503
        assert await told("/behaviour", {"hang": True}) == 200

        async def page() -> None:
            async with http.post(receiver.url, **signed(receiver.secret)):
                pytest.fail("it was to hang")

        hanging = asyncio.create_task(page())
        await eventually(lambda: len(receiver.pages) == 2)
        assert not (await asyncio.wait([hanging], timeout=0.05))[0]
        hanging.cancel()
        await asyncio.wait([hanging])
        async with http.get(base + "/received") as answer:
            found = await answer.json()
        assert [page["data"]["alert"]["title"] for page in found["pages"]] == ["disk full"] * 2


def test_a_line_says_what_came() -> None:
    page = Received(0.0, "id-1", DATA)
    assert line(page) == "id-1  ada  level 1 INITIAL: disk full"
    assert line(Received(0.0, "id-1", DATA | {"bundled": [{}, {}]})).endswith("disk full (and 2 more)")
    assert line(Received(0.0, "id-1", DATA, "alert.closed")) == "id-1  ada  alert.closed: disk full"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--secret", "whsec_c2hvcnQ="], "base64 of 24 to 64 bytes"),
        (["--secret", "hunter2"], "whsec_"),
        (["--listen", "nowhere"], "--listen"),
        (["--status", "42"], "--status"),
        (["--delay", "-1"], "--delay"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["sink", *arguments])
    assert (done.exit_code, said in done.output) == (2, True)


async def test_the_command_prints_what_comes_and_counts_it_at_the_end() -> None:
    secrets = [new_secret(), new_secret()]
    arguments = ["-m", "cli", "sink", "--listen", "127.0.0.1:0", "--status", "503"]
    arguments += [word for one in secrets for word in ("--secret", one)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(BORN), aiohttp.ClientSession() as http:
            url = (await process.stdout.readline()).decode().removeprefix("listening at ").strip()
            assert [await process.stdout.readline() for _ in secrets] == [
                f"secret {s}\n".encode() for s in secrets
            ]
            async with http.post(url, **signed(secrets[1])) as answer:
                assert answer.status == 503
            assert await process.stdout.readline() == b"id-1  ada  level 1 INITIAL: disk full\n"
            process.send_signal(signal.SIGINT)
            assert await process.stdout.readline() == b"1 pages, 0 refused\n"
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
