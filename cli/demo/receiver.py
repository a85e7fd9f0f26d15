"""A webhook receiver on loopback that believes only what is signed (Standard Webhooks 1.0)."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOLERANCE = 300.0
"""Seconds by which a webhook's timestamp may be off."""


@dataclass(frozen=True, slots=True)
class Received:
    """One page that came in, at a monotonic instant."""

    at: float
    webhook_id: str
    data: dict[str, Any]


@dataclass
class Receiver:
    """What came in so far, in order; `refused` counts what was not rightly signed."""

    secret: str = field(default_factory=lambda: "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())
    url: str = ""
    pages: list[Received] = field(default_factory=list)
    refused: int = 0
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, count: int, timeout: float) -> list[Received]:
        """Waits until `count` pages are there, at most `timeout` seconds; answers all that are."""
        async with self._came:
            try:
                async with asyncio.timeout(timeout):
                    await self._came.wait_for(lambda: len(self.pages) >= count)
            except TimeoutError:
                pass
        return list(self.pages)

    async def take(self, request: web.Request) -> web.Response:
        """Accepts a page: 204 when the signature is right, 401 when it is not."""
        body = await request.read()
        if not self._signed(request.headers, body):
            self.refused += 1
            return web.Response(status=401)
        async with self._came:
            data = (await request.json())["data"]
            self.pages.append(Received(time.monotonic(), request.headers["webhook-id"], data))
            self._came.notify_all()
        return web.Response(status=204)

    def _signed(self, headers: Any, body: bytes) -> bool:
        try:
            name, at, signatures = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
            if abs(time.time() - int(at)) > TOLERANCE:
                return False
        except (KeyError, ValueError):
            return False
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
        want = f"v1,{base64.b64encode(digest).decode()}"
        return any(hmac.compare_digest(want, given) for given in signatures.split())


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver that listens on a free port of 127.0.0.1."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/page", receiver.take)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/page"
        yield receiver
    finally:
        await runner.cleanup()
