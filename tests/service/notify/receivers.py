"""Webhook receivers on loopback: an honest one that checks signatures, and hostile ones."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fixtures.eventually import eventually


@dataclass(frozen=True)
class Hook:
    """A request as it arrived, and when by the loop's clock."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def id(self) -> str:
        """The `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def kind(self) -> str:
        """The payload's `type`."""
        kind: str = json.loads(self.body)["type"]
        return kind

    @property
    def data(self) -> dict[str, Any]:
        """The payload's `data`."""
        data: dict[str, Any] = json.loads(self.body)["data"]
        return data

    def signed_with(self, secret: str) -> bool:
        """Whether the signature is the one of Standard Webhooks 1.0."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        return f"v1,{mac}" in self.headers["webhook-signature"].split(" ")


Answer = Callable[[asyncio.StreamWriter, Hook], Awaitable[None]]


def status(code: int, *headers: str, body: bytes = b"") -> Answer:
    """Answers a status, and keeps the connection."""

    async def answer(writer: asyncio.StreamWriter, hook: Hook) -> None:
        lines = [f"HTTP/1.1 {code} Said", f"content-length: {len(body)}", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


async def hang(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """Never answers."""
    await asyncio.Event().wait()


async def reset(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """Cuts the connection."""
    writer.transport.abort()


async def drip_headers(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """Sends a byte now and then, and never a whole header."""
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    await _for_ever(writer, b"y", pause=0.05)


async def drip_body(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """A failure whose body never ends, byte by byte."""
    writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 1000000\r\n\r\n")
    await _for_ever(writer, b"y", pause=0.05)


async def flood_body(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """A failure with a body of 2 GB."""
    writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 2147483648\r\n\r\n")
    await _for_ever(writer, b"y" * 65536, pause=0)


async def drip_thanks(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """Has taken it, and says so with a body that never ends."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    await _for_ever(writer, b"y", pause=0.05)


async def continue_for_ever(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """One interim answer after another, and never a real one."""
    await _for_ever(writer, b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01)


async def bomb(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """A failure of 64 KB that unpacks to 64 MB."""
    packed = gzip.compress(b"y" * (64 << 20))
    writer.write(
        b"HTTP/1.1 500 No\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    )


async def flood_headers(writer: asyncio.StreamWriter, hook: Hook) -> None:
    """Headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await _for_ever(writer, b"x-flood: " + b"y" * 4000 + b"\r\n", pause=0)


async def _for_ever(writer: asyncio.StreamWriter, piece: bytes, *, pause: float) -> None:
    while not writer.is_closing():
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(pause)


@dataclass
class Receiver:
    """A receiver: what it got, and what it answers next; `script` is used up first, then `always`."""

    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    connections: int = 0
    most_at_once: int = 0
    cut: int = 0
    always: Answer = field(default_factory=lambda: status(200))
    script: list[Answer] = field(default_factory=list)
    _now: int = 0

    async def got(self, count: int = 1) -> list[Hook]:
        """Waits until so many requests have arrived."""
        return await eventually(lambda: self.hooks if len(self.hooks) >= count else None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            while (hook := await read_request(reader)) is not None:
                self.hooks.append(hook)
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                answer = self.script.pop(0) if self.script else self.always
                try:
                    if answer is hang:  # the other side may hang up
                        await reader.read(1)
                        self.cut += 1
                        return
                    await answer(writer, hook)
                finally:
                    self._now -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Hook | None:
    """The next request of a connection."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:-2]
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Hook(headers, body, asyncio.get_running_loop().time())


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback."""
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(receiver.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
