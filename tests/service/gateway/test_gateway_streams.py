"""The inbox as server-sent events: ids, heartbeats, resuming, errors, and an end when the service drains."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from chassis.errors import NotFound, Unavailable
from services.gateway import streams
from services.gateway.main import build
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.gateway.stage import Services, Stage, config, standing_in, token_with
from tocsin.notify.v1 import inbox_service_pb2

PATH = "/api/alert/inbox:watch?responder_id=ada"


def item(number: int) -> inbox_service_pb2.WatchInboxResponse:
    """One answer of the stream."""
    inbox_item = inbox_service_pb2.InboxItem(route_log_id=f"r{number}")
    return inbox_service_pb2.WatchInboxResponse(inbox_item=inbox_item, resume_token=f"t{number}")


class Watch:
    """A stream that says what the test puts in; `ended` is set when the caller leaves."""

    def __init__(self, services: Services) -> None:
        self.said: asyncio.Queue[Any] = asyncio.Queue()
        self.ended = asyncio.Event()
        services.play("WatchInbox", self._play)

    async def _play(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            while (said := await self.said.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            self.ended.set()


def headers(**more: str) -> dict[str, str]:
    """A caller who may read."""
    return {"authorization": f"Bearer {token_with('notify:read')}", **more}


async def lines(response: aiohttp.ClientResponse, count: int) -> list[str]:
    """The next lines that are not empty."""
    found: list[str] = []
    while len(found) < count:
        line = (await asyncio.wait_for(response.content.readline(), PATIENCE)).decode()
        assert line, f"the stream ended after {found}"
        if line.strip():
            found.append(line.strip())
    return found


async def test_events_have_ids_and_the_stream_resumes_after_one(stage: Stage) -> None:
    watch = Watch(stage.services)
    watch.said.put_nowait(item(1))
    async with stage.session.get(stage.base + PATH, headers=headers()) as response:
        assert (response.status, response.headers["content-type"]) == (
            200,
            "text/event-stream; charset=utf-8",
        )
        retry, ident, data = await lines(response, 3)
        assert (retry, ident) == ("retry: 1000", "id: t1")
        assert data.startswith('data: {"inbox_item":{"route_log_id":"r1","responder_id":"",')
        watch.said.put_nowait(item(2))
        assert (await lines(response, 2))[0] == "id: t2"
    await asyncio.wait_for(watch.ended.wait(), PATIENCE)
    Watch(stage.services).said.put_nowait(None)
    again = headers(**{"last-event-id": "t2"})
    async with stage.session.get(stage.base + PATH, headers=again) as response:
        assert await response.text() == "retry: 1000\n\n"
    assert (stage.services.last.responder_id, stage.services.last.resume_token) == ("ada", "t2")


async def test_silence_is_broken_by_a_comment(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.05)
    watch = Watch(stage.services)
    async with stage.session.get(stage.base + PATH, headers=headers()) as response:
        assert await lines(response, 3) == ["retry: 1000", ": alive", ": alive"]
        watch.said.put_nowait(item(1))
        await eventually(watch.said.empty)


async def test_a_stream_that_is_refused_is_an_error(stage: Stage) -> None:
    Watch(stage.services).said.put_nowait(NotFound("there is no such responder"))
    answer = await stage.call("GET", PATH, token="notify:read")
    assert (answer.status, answer.error["message"]) == (404, "there is no such responder")
    assert (await stage.call("GET", PATH, token=None)).status == 401
    assert (await stage.call("GET", PATH, token="alerts:read")).status == 403
    assert (await stage.call("GET", PATH + "&x=1", token="notify:read")).status == 400
    assert (await stage.call("HEAD", PATH, token="notify:read")).status == 200


async def test_a_stream_that_fails_later_says_so(stage: Stage) -> None:
    watch = Watch(stage.services)
    watch.said.put_nowait(item(1))
    async with stage.session.get(stage.base + PATH, headers=headers()) as response:
        await lines(response, 3)
        watch.said.put_nowait(Unavailable("the database is away"))
        event, data = await lines(response, 2)
        assert event == "event: error"
        assert '"status":"UNAVAILABLE"' in data
        assert await response.content.read() == b"\n"


async def test_a_drain_ends_the_stream() -> None:
    async with standing_in() as services, aiohttp.ClientSession() as session:
        watch = Watch(services)
        watch.said.put_nowait(item(1))
        async with build(config(services.server.address)) as gateway:
            response = await session.get(f"http://{gateway.address}{PATH}", headers=headers())
            await lines(response, 3)
        assert await asyncio.wait_for(response.content.read(), PATIENCE) == b"\n"
        await asyncio.wait_for(watch.ended.wait(), PATIENCE)


async def test_a_drain_lets_requests_finish() -> None:
    async with standing_in() as services, aiohttp.ClientSession() as session:
        asked, go = asyncio.Event(), asyncio.Event()

        async def slow(request: Any, context: Any) -> Any:
            asked.set()
            await go.wait()
            return inbox_service_pb2.ListInboxResponse(next_page_token="done")

        services.play("ListInbox", slow)
        url = "/api/alert/inbox?responder_id=ada"
        async with build(config(services.server.address)) as gateway:
            call = asyncio.create_task(session.get(f"http://{gateway.address}{url}", headers=headers()))
            await asked.wait()
            asyncio.get_running_loop().call_later(0.2, go.set)
        response = await call
        assert (response.status, (await response.json())["next_page_token"]) == (200, "done")
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://{gateway.address}/healthz")
        assert not gateway.failed.is_set()
