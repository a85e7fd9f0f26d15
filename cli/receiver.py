"""A webhook receiver on loopback that believes only what is signed (Standard Webhooks 1.0)."""

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from aiohttp import web

TOLERANCE = 300.0
"""Seconds by which a webhook's timestamp may be off."""
SECRET_BYTES = 32
KEY_BYTES = range(24, 65)
PREFIX = "whsec_"
LONGEST_DELAY = 3600.0


@dataclass(frozen=True, slots=True)
class Received:
    """One page that came in, at a monotonic instant."""

    at: float
    webhook_id: str
    data: dict[str, Any]
    type: str = "alert.escalated"


@dataclass(slots=True)
class Behaviour:
    """What the receiver does with a page: answers `status` after `delay` seconds, or never when it hangs."""

    status: int = 204
    delay: float = 0.0
    hang: bool = False


def new_secret() -> str:
    """A fresh secret in the form of Standard Webhooks."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """The key in a secret. Raises ValueError for what is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in KEY_BYTES:
        raise ValueError(f"a secret is {PREFIX} and base64 of 24 to 64 bytes")
    return key


@dataclass
class Receiver:
    """What came in so far, in order; `refused` counts what was not rightly signed.

    Signed by any of the secrets: there is one for each contact method, and two while one is being replaced.
    """

    secrets: list[str] = field(default_factory=lambda: [new_secret()])
    url: str = ""
    pages: list[Received] = field(default_factory=list)
    refused: int = 0
    behaviour: Behaviour = field(default_factory=Behaviour)
    _came: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def secret(self) -> str:
        """The first secret."""
        return self.secrets[0]

    async def until(self, count: int, timeout: float) -> list[Received]:
        """Waits until `count` pages are there, at most `timeout` seconds; answers all that are."""
        async with self._came:
            try:
                async with asyncio.timeout(timeout):
                    await self._came.wait_for(lambda: len(self.pages) >= count)
            except TimeoutError:
                pass
        return list(self.pages)

    def app(self) -> web.Application:
        """POST /page takes pages; GET /received shows them; PUT /behaviour and POST /secrets change what is done."""
        app = web.Application()
        app.router.add_post("/page", self._take)
        app.router.add_get("/received", self._show)
        app.router.add_put("/behaviour", self._behave)
        app.router.add_post("/secrets", self._trust)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._signed(request.headers, body):
            self.refused += 1
            return web.Response(status=401)
        said = await request.json()
        came = Received(time.monotonic(), request.headers["webhook-id"], said["data"], said["type"])
        async with self._came:
            self.pages.append(came)
            self._came.notify_all()
        if self.behaviour.hang:
            await asyncio.Event().wait()
        await asyncio.sleep(self.behaviour.delay)
        return web.Response(status=self.behaviour.status)

    async def _show(self, _: web.Request) -> web.Response:
        return web.json_response({"pages": [asdict(page) for page in self.pages], "refused": self.refused})

    async def _behave(self, request: web.Request) -> web.Response:
        try:
            wanted = Behaviour(**await request.json())
            status, delay, hang = wanted.status, wanted.delay, wanted.hang
            good = 200 <= status <= 599 and 0 <= delay <= LONGEST_DELAY and isinstance(hang, bool)
        except (TypeError, ValueError):
            good = False
        if not good:
            raise web.HTTPBadRequest(text="want {status: 200-599, delay: seconds, hang: true or false}")
        self.behaviour = wanted
        return web.json_response(asdict(wanted))

    async def _trust(self, request: web.Request) -> web.Response:
        """One more secret, for a contact method that was made, or whose secret was replaced, meanwhile."""
        try:
            secret = (await request.json())["secret"]
            key_of(secret)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=f"want {{secret: whsec_…}}: {error}") from None
        self.secrets.append(secret)
        return web.json_response({"secrets": len(self.secrets)})

    def _signed(self, headers: Any, body: bytes) -> bool:
        try:
            name, at, signatures = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
            if abs(time.time() - int(at)) > TOLERANCE:
                return False
        except (KeyError, ValueError):
            return False
        content = f"{name}.{at}.".encode() + body
        digests = (hmac.digest(key_of(secret), content, hashlib.sha256) for secret in self.secrets)
        wanted = [f"v1,{base64.b64encode(digest).decode()}".encode() for digest in digests]
        given = [signature.encode() for signature in signatures.split()]
        return any(hmac.compare_digest(want, one) for want in wanted for one in given)


@asynccontextmanager
async def receiving(
    receiver: Receiver | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Receiver]:
    """A receiver that listens; port 0 takes a free one."""
    receiver = receiver or Receiver()
    runner = web.AppRunner(receiver.app(), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        receiver.url = f"http://{host}:{runner.addresses[0][1]}/page"
        yield receiver
    finally:
        await runner.cleanup()
