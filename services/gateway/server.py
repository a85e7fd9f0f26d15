"""The HTTP server inside the process: bound at once, started when told, drained before it ends."""

import asyncio
import math
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import uvicorn
from prometheus_client import Counter
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from chassis.errors import Invalid, Unavailable
from chassis.process import Running
from services.gateway import failures

MOST_HEAD = 64 * 1024
"""Bytes of a request's first line and headers."""
KEEP_ALIVE = 60
"""Seconds that an idle connection stays open."""
KEPT = 48
"""Descriptors at least that are no callers': some thirty are the process's own, the others for turning callers away."""
MOMENT = 0.5
"""Seconds in which a connection too many may ask, to be told so."""

_turned_away = Counter("tocsin_http_turned_away_total", "Connections that were more than are served.")


def most_connections() -> float:
    """How many connections are served at a time: with one that takes the last descriptor nobody could be answered."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else max(1, soft - max(KEPT, soft // 8))


class _Protocol(HttpToolsProtocol):
    """HTTP/1.1 with limits on connections and on the head of a request, and with our error object for what is no HTTP."""

    _head: int | None = 0
    """Bytes of the head so far; None while a body comes."""
    _completed = False
    """Whether a request ended in the bytes just received: then they are not one head alone."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            self.connections.discard(self)  # so that it takes the place of none that could be served
            _turned_away.inc()
            self.app = _full
            self.loop.call_later(MOMENT, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        self._completed = False
        super().data_received(data)
        if self._head is not None and not self._completed and not self.transport.is_closing():
            self._head += len(data)
            if self._head > MOST_HEAD:
                self.send_400_response(f"the request's head is too large; want at most {MOST_HEAD} bytes")

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head, self._completed = 0, True
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        answer = failures.response(Invalid(msg))
        head = b"".join(b"%s: %s\r\n" % header for header in [*answer.raw_headers, (b"connection", b"close")])
        self.transport.write(STATUS_LINE[400] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    """What answers a connection too many, and ends it; those that are there go on.

    The body is heard out: to close on a caller who is still speaking would take the answer away.
    """
    while (await receive()).get("more_body"):
        pass
    answer = failures.response(Unavailable("too many connections", reason="TOO_MANY_CONNECTIONS"))
    answer.headers["connection"] = "close"
    await answer(scope, receive, send)


class _Server(uvicorn.Server):
    """Leaves signals to the process, and tells when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()


class HttpServer:
    """Serves one application on one address; `listen` is host:port, port 0 takes a free one."""

    def __init__(self, *, listen: str, app: ASGIApp, grace: timedelta = timedelta(seconds=5)) -> None:
        host, _, port = listen.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        place = (host.strip("[]") or "127.0.0.1", int(port))
        bound = socket.create_server(place, family=family, backlog=1024)
        self._socket = socket.socket(
            fileno=bound.detach()
        )  # knows its protocol: asyncio switches Nagle off then
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE,
                timeout_graceful_shutdown=int(grace.total_seconds()),
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.running = Running(f"{host or '127.0.0.1'}:{self._socket.getsockname()[1]}")

    async def start(self) -> None:
        """Serves from now on; `running.failed` is set when the server ends by itself."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="http")
        self._task.add_done_callback(self._ended)
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait([serving, self._task], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()

    def _ended(self, _: asyncio.Task[None]) -> None:
        if not self._server.should_exit:
            self.running.failed.set()

    async def drain(self) -> None:
        """Takes no new connections and lets requests under way finish within the grace."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()
