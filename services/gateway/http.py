"""The door: requests in, answers out, with an id, a trace, a measure and an honest error for each."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import uuid4

import prometheus_client
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from chassis import telemetry
from chassis.errors import DomainError, Invalid, TimedOut
from services.gateway import failures
from services.gateway.compression import compress, unpacked
from services.gateway.cors import Cors
from services.gateway.failures import MethodNotAllowed, TooLarge, UrlTooLong
from services.gateway.routing import Router

log = structlog.get_logger()
MOST_BODY = 8 * 1024 * 1024
MOST_URL = 8 * 1024
BODY_SECONDS = 30.0
"""How long a caller may take to send a body."""
DEADLINE = 10.0
"""Seconds that a call may take when the caller does not say."""
LONGEST = 300.0
REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
TIMEOUT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m)?")
GRPC_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
SECONDS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
REQUESTS = prometheus_client.Histogram(
    "tocsin_http_request_seconds",
    "How long requests took until the answer began.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request that found its route."""

    request: Request
    variables: Mapping[str, str]
    request_id: str

    @property
    def authorization(self) -> str | None:
        """The `authorization` header as it came."""
        return self.request.headers.get("authorization")

    def metadata(self, *, credential: bool = True) -> list[tuple[str, str]]:
        """What goes on to the backend: the trace, the request's id and, unless told not to, the caller's credential."""
        passed = [("traceparent", telemetry.trace_parent()), ("x-request-id", self.request_id)]
        if credential and (authorization := self.authorization) is not None:
            passed.append(("authorization", authorization))
        return passed

    def timeout(self) -> float | None:
        """Seconds that the caller gives, by `X-Request-Timeout: 2s` or `Grpc-Timeout: 2S`; None when it says none.

        Raises Invalid when the header is not a positive duration.
        """
        headers = self.request.headers
        if (text := headers.get("x-request-timeout")) is not None:
            return _seconds("x-request-timeout", TIMEOUT.fullmatch(text), {"ms": 1e-3, "s": 1.0, "m": 60.0})
        if (text := headers.get("grpc-timeout")) is not None:
            return _seconds("grpc-timeout", GRPC_TIMEOUT.fullmatch(text), SECONDS)
        return None

    async def body(self, limit: int = MOST_BODY) -> bytes:
        """The whole body, unpacked; raises TooLarge beyond `limit` bytes, TimedOut when it takes too long to come.

        Raises Invalid when it is packed in another way than by gzip.
        """
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _body(self.request, limit)
        except TimeoutError:
            raise TimedOut("the body did not come in time") from None
        return unpacked(body, self.request.headers.get("content-encoding", ""), limit)


def _seconds(header: str, found: re.Match[str] | None, units: Mapping[str, float]) -> float:
    seconds = float(found[1]) * units[found[2] or "s"] if found is not None else 0.0
    if seconds <= 0:
        raise Invalid.field(header, "is not a positive duration; want one such as '2s'")
    return min(seconds, LONGEST)


async def _body(request: Request, limit: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise TooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(limit)
        chunks.append(chunk)
    return b"".join(chunks)


Endpoint: TypeAlias = Callable[[Incoming], Awaitable[Response]]


class Door:
    """The ASGI application over the routes."""

    def __init__(self, router: Router[Endpoint], cors: Cors) -> None:
        self._router = router
        self._cors = cors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        request = Request(scope, receive)
        started = time.perf_counter()
        telemetry.enter_trace(request.headers.get("traceparent"))
        request_id = request.headers.get("x-request-id", "")
        if not REQUEST_ID.fullmatch(request_id):
            request_id = uuid4().hex
        try:
            route, response = await self._answer(request, request_id)
        except ClientDisconnect:
            return
        await self._finish(request, response, request_id)
        method = request.method if request.method in METHODS else "OTHER"
        took = time.perf_counter() - started
        REQUESTS.labels(method, route, response.status_code).observe(took)
        tell = log.warning if response.status_code >= 500 else log.debug
        tell(
            "request.answered",
            method=method,
            route=route,
            status=response.status_code,
            seconds=round(took, 4),
            request_id=request_id,
        )
        await response(scope, receive, send)

    async def _finish(self, request: Request, response: Response, request_id: str) -> None:
        """What every answer says, whatever it answers."""
        response.headers["x-request-id"] = request_id
        if response.status_code >= 400 and "expect" in request.headers:
            response.headers["connection"] = "close"  # the caller may still wait to send the body
        self._cors.allow(request, response)
        await compress(response, request.headers.get("accept-encoding", ""))

    async def _answer(self, request: Request, request_id: str) -> tuple[str, Response]:
        route = ""
        try:
            raw_path = request.scope["raw_path"].decode("ascii")
            if len(raw_path) + len(request.scope["query_string"]) > MOST_URL:
                raise UrlTooLong(MOST_URL)
            match = self._router.find(request.method, raw_path)
            route = match.template.text
            return route, await match.endpoint(Incoming(request, match.variables, request_id))
        except MethodNotAllowed as error:
            if request.method == "OPTIONS":
                return route, Response(status_code=204, headers=error.headers)
            return route, failures.response(error)
        except DomainError as error:
            return route, failures.response(error)
        except ClientDisconnect:
            raise
        except Exception:
            log.exception("request.failed", route=route, request_id=request_id)
            return route, failures.response(DomainError("internal error"))
