"""Requests that are too large, too slow or no HTTP: an honest answer, and the door stays open."""

import asyncio
import json
import math
import resource
from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.gateway import http, server
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.gateway.stage import Stage, token_with


async def raw(stage: Stage, sent: bytes) -> bytes:
    """What comes back for bytes as they are, until the server closes."""
    host, _, port = stage.base.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(sent)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    return answer


def body_of(answer: bytes) -> dict[str, object]:
    """The error object of a raw answer."""
    found: dict[str, object] = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    return found


async def test_a_body_that_is_announced_too_large(stage: Stage) -> None:
    big = json.dumps({"title": "x", "description": "y" * (http.MOST_BODY + 1000)}).encode()
    answer = await stage.api("POST", "/alerts", big)
    assert (answer.status, answer.error["code"]) == (413, 413)
    assert (await stage.api("POST", "/alerts", {"title": "x"})).status == 200


async def test_a_body_that_grows_too_large(stage: Stage) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b" " * 1024 * 1024

    headers = {"authorization": f"Bearer {token_with('admin')}", "content-type": "application/json"}
    async with stage.session.post(
        f"{stage.base}/api/alert/alerts", data=chunks(), headers=headers
    ) as response:
        assert response.status == 413
    assert stage.services.asked == []


async def test_a_body_of_just_the_size_that_is_allowed(stage: Stage) -> None:
    whole = json.dumps({"title": "x"}).encode()
    assert (await stage.api("POST", "/alerts", whole + b" " * (http.MOST_BODY - len(whole)))).status == 200


async def test_a_url_that_is_too_long(stage: Stage) -> None:
    answer = await stage.api("GET", "/alerts?source=" + "x" * http.MOST_URL)
    assert (answer.status, answer.error["status"]) == (414, "INVALID_ARGUMENT")


async def test_a_connection_too_many(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told so and ended, also when it says nothing; those that are there go on, and when one leaves there is room."""
    files = resource.RLIM_INFINITY
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    ask, bye = (
        b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: %s\r\n\r\n" % how
        for how in (b"keep-alive", b"close")
    )
    host, _, port = stage.base.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    async def asked() -> bytes:
        writer.write(ask)
        return await asyncio.wait_for(reader.readuntil(b'{"status":"SERVING"}'), PATIENCE)

    assert await asked()
    files = server.KEPT + 2  # the stage has a connection, too
    answer = await raw(stage, ask)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: " in answer
    assert body_of(answer)["details"][0]["reason"] == "TOO_MANY_CONNECTIONS"  # type: ignore[index]
    assert await raw(stage, b"") == b""
    assert await asked()
    monkeypatch.setattr(server, "MOMENT", 60)
    silent = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
    writer.close()
    await eventually(lambda: _served(stage, bye))
    for _, one in silent:
        one.close()


async def _served(stage: Stage, request: bytes) -> bool:
    return (await raw(stage, request)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("files", "most"), [(64, 16), (256, 208), (1024, 896), (10, 1), (resource.RLIM_INFINITY, math.inf)]
)
def test_how_many_connections_are_served(monkeypatch: pytest.MonkeyPatch, files: int, most: float) -> None:
    """As many as leave descriptors for what the process itself needs, and for turning others away."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert server.most_connections() == most


async def test_a_head_that_is_too_large(stage: Stage) -> None:
    sent = b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: " + b"y" * (server.MOST_HEAD + 1)
    answer = await raw(stage, sent)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert body_of(answer)["status"] == "INVALID_ARGUMENT"


async def test_what_is_no_http(stage: Stage) -> None:
    for sent in (b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n"):
        answer = await raw(stage, sent)
        assert answer.startswith(b"HTTP/1.1 400 "), answer
        assert body_of(answer)["code"] == 400
    assert (await stage.call("GET", "/healthz", token=None)).status == 200


async def test_two_requests_in_one_go(stage: Stage) -> None:
    one = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = await raw(stage, one + one.replace(b"host: x", b"host: x\r\nconnection: close"))
    assert answer.count(b'{"status":"SERVING"}') == 2


async def test_a_caller_who_leaves_in_the_middle_of_a_body(stage: Stage) -> None:
    host, _, port = stage.base.removeprefix("http://").rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    token = token_with("admin").encode()
    writer.write(
        b"POST /api/alert/alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer " + token + b"\r\n"
        b"content-length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    assert (await stage.call("GET", "/healthz", token=None)).status == 200
    assert stage.services.asked == []


async def test_many_at_once(stage: Stage) -> None:
    async with aiohttp.TCPConnector(limit=64), asyncio.TaskGroup() as group:
        calls = [group.create_task(stage.api("POST", "/alerts", {"title": f"t{i}"})) for i in range(300)]
    assert {call.result().status for call in calls} == {200}
    assert {asked.request.title for asked in stage.services.asked} == {f"t{i}" for i in range(300)}


async def test_a_caller_who_waits_to_send_a_body_that_is_refused(stage: Stage) -> None:
    """Without the body the connection cannot go on, so it is closed."""
    head = b"POST /api/alert/alerts HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    answer = await raw(stage, head)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"connection: close" in answer
