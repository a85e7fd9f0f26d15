"""Webhook receivers that mean harm, in a process of their own, and what they saw: `python -m tests.faults.hostile`."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.service.notify import receivers

ROOT = Path(__file__).parents[2]
CANARY = "127.0.0.2"
"""Where nothing may ever arrive."""


async def redirect(writer: asyncio.StreamWriter, hook: receivers.Hook) -> None:
    """Sends people where nothing may arrive."""
    await receivers.status(302, f"location: http://{CANARY}:{PORTS['canary']}/hook")(writer, hook)


KINDS: dict[str, receivers.Answer] = {
    "hang": receivers.hang,
    "reset": receivers.reset,
    "drip-headers": receivers.drip_headers,
    "drip-body": receivers.drip_body,
    "drip-thanks": receivers.drip_thanks,
    "flood-body": receivers.flood_body,
    "flood-headers": receivers.flood_headers,
    "interim": receivers.continue_for_ever,
    "bomb": receivers.bomb,
    "redirect": redirect,
    "500": receivers.status(500, body=b"x" * 70_000),
    "429": receivers.status(429, "retry-after: 1"),
}
PORTS: dict[str, int] = {}


class Seen:
    """How long each connection lasted at most, by kind, and how many there were."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.longest: defaultdict[str, float] = defaultdict(float)

    async def serve(self, kind: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, until the other side has had enough of it."""
        loop = asyncio.get_running_loop()
        try:
            hook = await receivers.read_request(reader)
            if hook is None:
                return
            began = loop.time()
            self.requests[kind] += 1
            try:
                answering = asyncio.ensure_future(KINDS[kind](writer, hook))
                gone = asyncio.create_task(reader.read(1))
                await asyncio.wait([answering, gone], return_when=asyncio.FIRST_COMPLETED)
                await asyncio.wait([gone], timeout=30)
                answering.cancel()
                await asyncio.gather(answering, gone, return_exceptions=True)
            finally:
                self.longest[kind] = max(self.longest[kind], loop.time() - began)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()

    async def touched(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A connection where there may be none."""
        self.requests["canary"] += 1
        writer.transport.abort()

    async def report(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """What was seen so far, as JSON, to whoever asks."""
        told = {"requests": self.requests, "longest": self.longest}
        body = json.dumps(told).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


@dataclass(frozen=True, slots=True)
class Hostile:
    """The running receivers: the port of each kind, and of the canary."""

    ports: dict[str, int]

    def urls(self) -> dict[str, str]:
        """An address of each kind; beyond those of KINDS what is no TLS, has no name, or is not allowed however it is written."""
        found = {kind: f"http://127.0.0.1:{self.ports[kind]}/{kind}" for kind in KINDS}
        canary = self.ports["canary"]
        denied = {
            f"denied-{host}": f"http://{host}:{canary}/" for host in ("127.2", "0x7f000002", "2130706434")
        }
        odd = {"no-tls": f"https://127.0.0.1:{self.ports['500']}/", "no-name": "https://nobody.invalid/"}
        return found | denied | odd

    def seen(self) -> dict[str, dict[str, float]]:
        """Requests by kind, and the longest that each kind was listened to, in seconds."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.ports['report']}/", timeout=30
        ) as answer:  # our own
            found: dict[str, Any] = json.load(answer)
        return found


@contextmanager
def hostile() -> Iterator[Hostile]:
    """Receivers on free ports of loopback."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.hostile"], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield Hostile(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


async def _serve() -> None:
    os.nice(19)  # what floods costs others no processor: such receivers are elsewhere
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    seen = Seen()

    def of(kind: str) -> Any:
        return lambda reader, writer: seen.serve(kind, reader, writer)

    servers = {kind: await asyncio.start_server(of(kind), "127.0.0.1", 0) for kind in KINDS}
    servers["canary"] = await asyncio.start_server(seen.touched, CANARY, 0)
    servers["report"] = await asyncio.start_server(seen.report, "127.0.0.1", 0)
    PORTS.update({name: server.sockets[0].getsockname()[1] for name, server in servers.items()})
    print(json.dumps(PORTS), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
