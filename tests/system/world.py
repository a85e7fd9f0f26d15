"""The stack as a user sees it: HTTP calls, webhooks that come in, and questions asked until they are answered."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc

from cli.receiver import Received, Receiver, receiving
from tests.fixtures.eventually import PATIENCE, eventually

Json = dict[str, Any]
BASE = "/api/alert"
LOOK = 0.02
"""Seconds between two looks at a sink elsewhere."""


def channel_to(stack: Mapping[str, Any], context: str, kind: Any = grpc, *, caller: str = "gateway") -> Any:
    """A channel of `grpc` or `grpc.aio` to a service; where the services want certificates, with the caller's."""
    address = stack["grpc"][context]
    if "certificates" not in stack:
        return kind.insecure_channel(address)
    names = ("tls_ca", f"{caller}_tls_key", f"{caller}_tls_cert")
    files = [(Path(stack["certificates"]) / f"{name}.pem").read_bytes() for name in names]
    credentials = grpc.ssl_channel_credentials(*files)
    return kind.secure_channel(address, credentials, [("grpc.ssl_target_name_override", context)])


@dataclass
class World:
    """One stack, one webhook receiver, and names that no other test uses.

    `own("ada")` is a name of this test's own, so that tests can share a stack.
    """

    stack: Mapping[str, Any]
    http: aiohttp.ClientSession
    receiver: Receiver
    mark: str

    def own(self, name: str) -> str:
        """A name that belongs to this test alone."""
        return f"{name}-{self.mark}"

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "",
        data: bytes | None = None,
    ) -> tuple[int, Json]:
        """One call: its status and JSON. `token` None sends none; `data` sends bytes as they are."""
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token or self.stack['token']}"
        sent = data if data is not None else None if body is None else json.dumps(body).encode()
        url = path if path.startswith("http") else self.stack["gateway"] + path
        async with self.http.request(
            method, url, data=sent, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def ok(self, method: str, path: str, body: object = None) -> Json:
        """A call below /api/alert that must succeed."""
        status, found = await self.call(method, BASE + path, body)
        assert status < 300, f"{method} {path} -> {status} {found}"
        return found

    async def responder(self, name: str, *, on: str = "", webhook: bool = True) -> str:
        """A person of this test with a webhook to the test's receiver; on call on the schedule `on` from now on."""
        own = self.own(name)
        await self.ok("POST", "/oncall/responders", {"responder_id": own, "display_name": name.title()})
        if webhook:
            method = {"channel": "WEBHOOK", "address": self.receiver.url, "secret": self.receiver.secret}
            await self.ok("POST", "/contact-methods", {"responder_id": own, **method})
        if on:
            await self.shift(own, on)
        return own

    async def shift(self, responder_id: str, schedule_id: str, hours: float = 8) -> Json:
        """An explicit shift that began an hour ago."""
        now = datetime.now(UTC)
        body = {
            "responder_id": responder_id,
            "schedule_id": schedule_id,
            "starts_at": rfc3339(now - timedelta(hours=1)),
            "ends_at": rfc3339(now + timedelta(hours=hours)),
        }
        return await self.ok("POST", "/oncall/shifts", body)

    async def schedule(self) -> str:
        """A schedule of this test without layers."""
        return str(
            (await self.ok("POST", "/oncall/schedules", {"schedule_id": self.own("s")}))["schedule_id"]
        )

    async def policy(self, *steps: tuple[str, float], name: str = "p", **more: object) -> str:
        """A policy of this test; a step is a target and the seconds to take it in."""
        body = {
            "policy_id": self.own(name),
            "steps": [{"targets": [target], "ack_timeout": f"{seconds:g}s"} for target, seconds in steps],
            **more,
        }
        return str((await self.ok("POST", "/escalation-policies", body))["policy_id"])

    async def trigger(self, title: str = "disk full", **fields: object) -> Json:
        """Triggers an alert and answers `{alert, outcome}`."""
        return await self.ok(
            "POST", "/alerts", {"title": title, "severity": "CRITICAL", "source": self.mark, **fields}
        )

    async def alert(self, alert_id: str) -> Json:
        """The alert as it is now."""
        return await self.ok("GET", f"/alerts/{alert_id}")

    async def expect_state(self, alert_id: str, state: str, timeout: float = 2 * PATIENCE) -> Json:
        """Waits until the alert is in a state."""

        async def reached() -> Json:
            found = await self.alert(alert_id)
            assert found["state"] == state, found
            return found

        return await eventually(reached, timeout)

    async def expect_page(
        self, responder_id: str, *, alert_id: str = "", timeout: float = 2 * PATIENCE
    ) -> Received:
        """Waits for a webhook to this person (about this alert)."""

        def came() -> Received | None:
            return next(iter(self.pages(responder_id, alert_id)), None)

        return await eventually(came, timeout)

    def pages(self, responder_id: str = "", alert_id: str = "") -> list[Received]:
        """The webhooks that came in so far."""
        return [
            page
            for page in self.receiver.pages
            if responder_id in ("", page.data["responder_id"])
            and alert_id in ("", page.data["alert"]["alert_id"])
        ]

    async def pids(self) -> Mapping[str, int]:
        """The process ids of the stack's parts as they are now."""
        found: Json = await asyncio.to_thread(read_state, str(self.stack["path"]))
        pids: Mapping[str, int] = found["pids"]
        return pids


def read_state(path: str) -> Json:
    """What stack.json says now."""
    with open(path) as file:  # noqa: PTH123  # a path from the environment, read as it is
        found: Json = json.load(file)
    return found


def rfc3339(at: datetime) -> str:
    """An instant as the API writes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def target(uri: str) -> str:
    """A target as a query parameter."""
    return quote(uri, safe="")


@asynccontextmanager
async def opened(stack: Mapping[str, Any]) -> AsyncIterator[World]:
    """The world of one test on a stack; a stack that cannot reach this machine's loopback brings its own `sink`."""
    mark = secrets.token_hex(4)
    async with aiohttp.ClientSession() as http:
        if sink := stack.get("sink"):
            async with _watching(http, sink, mark) as receiver:
                yield World(stack, http, receiver, mark)
        else:
            async with receiving() as receiver:
                yield World(stack, http, receiver, mark)


@asynccontextmanager
async def _watching(
    http: aiohttp.ClientSession, sink: Mapping[str, str], mark: str
) -> AsyncIterator[Receiver]:
    """A receiver that shows what a `tocsin sink` elsewhere gets for the people of one test."""
    receiver = Receiver(secrets=[sink["secret"]], url=sink["url"])

    async def look() -> None:
        while True:
            async with http.get(f"{sink['control']}/received") as answer:
                found = await answer.json()
            pages = [Received(**page) for page in found["pages"]]
            receiver.pages[:] = [page for page in pages if page.data["responder_id"].endswith(mark)]
            receiver.refused = found["refused"]
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look())
    try:
        yield receiver
    finally:
        looking.cancel()
