"""A webhook receiver that is as fast as Python can be, in a process of its own: `python -m tests.bench.receiver`."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
SHOW, HANG = "/received", "/hang"


class _Connection(asyncio.Protocol):
    """Answers every request at once, but those whose path begins with /hang."""

    def __init__(self, received: list[tuple[str, str, float]]) -> None:
        self._received = received
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.WriteTransport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1").lower()
            fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
            whole = end + 4 + int(fields.get("content-length", 0))
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            self._answer(head.split(" ", 2)[1], fields.get("webhook-id", ""))

    def _answer(self, path: str, webhook_id: str) -> None:
        if path == SHOW:
            body = json.dumps(self._received).encode()
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            return
        self._received.append((path, webhook_id, time.monotonic()))
        if not path.startswith(HANG):
            self._transport.write(ANSWER)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A running receiver."""

    url: str

    def received(self) -> list[tuple[str, str, float]]:
        """Path, webhook-id and monotonic instant of every request so far, in order."""
        with urllib.request.urlopen(self.url + SHOW, timeout=30) as answer:  # our own
            return [tuple(one) for one in json.load(answer)]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a free port of loopback."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.receiver"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Receiver(process.stdout.readline().strip())
        finally:
            process.terminate()


async def _serve() -> None:
    received: list[tuple[str, str, float]] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(received), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
