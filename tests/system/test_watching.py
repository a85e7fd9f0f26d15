"""Alerts watched through the gateway: a stream that was cut goes on where it was."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.system.world import BASE, World

PATIENCE = 20.0


class Watch:
    """Server-sent events, and the id of the last one that was taken."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.last = ""

    async def take(self) -> dict[str, Any]:
        """The next event."""
        ident = ""
        async with asyncio.timeout(PATIENCE):
            while line := (await self._response.content.readline()).decode():
                name, _, value = line.strip().partition(": ")
                if name == "id":
                    ident = value
                elif name == "data":
                    self.last = ident
                    found: dict[str, Any] = json.loads(value)
                    return found
        raise AssertionError("the stream ended")


@asynccontextmanager
async def watching(world: World, after: str = "") -> AsyncIterator[Watch]:
    """The alerts of this test, from now on or after an event."""
    headers = {"authorization": f"Bearer {world.stack['token']}"}
    if after:
        headers["last-event-id"] = after
    url = f"{world.stack['gateway']}{BASE}/alerts:watch?source={world.mark}"
    async with world.http.get(url, headers=headers) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        yield Watch(response)


def which(event: dict[str, Any]) -> tuple[str, int]:
    """The change that an event tells of."""
    return event["alert"]["alert_id"], int(event["alert"]["version"])


async def test_a_stream_that_was_cut_goes_on_after_its_last_event(world: World) -> None:
    """Nothing is lost and nothing comes twice, whatever happens while nobody watches."""
    policy = await world.policy((f"responder://{world.own('nobody')}", 600))
    async with watching(world) as watch:
        first = asyncio.create_task(watch.take())
        while not first.done():  # "now" is when the service has taken the call
            await world.trigger("early", policy_id=policy)
            await asyncio.wait({first}, timeout=0.2)
        seen, last = [which(first.result())], watch.last
    alerts = [(await world.trigger(f"a{n}", policy_id=policy))["alert"]["alert_id"] for n in range(5)]
    for round_ in range(3):  # each time a few events are taken, and then the connection is cut
        async with watching(world, last) as watch:
            seen += [which(await watch.take()) for _ in range(3)]
            last = watch.last
        await world.ok("POST", f"/alerts/{alerts[round_]}:acknowledge", {})
        await world.ok("POST", f"/alerts/{alerts[round_]}:close", {})
    end = (await world.trigger("end", policy_id=policy))["alert"]["alert_id"]
    await world.expect_state(end, "OPEN")
    await world.ok("POST", f"/alerts/{end}:close", {})
    versions = {alert_id: int((await world.alert(alert_id))["version"]) for alert_id in [*alerts[:3], end]}
    async with watching(world, last) as watch:
        while not all((alert_id, version) in seen for alert_id, version in versions.items()):
            seen.append(which(await watch.take()))
    assert len(seen) == len(set(seen))
    for alert_id, version in versions.items():
        assert [number for one, number in seen if one == alert_id] == list(range(1, version + 1))
