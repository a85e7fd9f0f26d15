"""Server streams as server-sent events that resume where they were cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from chassis.auth import Verifier
from chassis.errors import Invalid
from services.gateway import failures
from services.gateway.backends import Backends
from services.gateway.contract import Contract, Rule
from services.gateway.http import Incoming
from services.gateway.printing import Printer, encoded, error_object, printer_of
from services.gateway.requests import RequestReader

HEARTBEAT = 15.0
"""Seconds of silence after which a comment keeps the connection alive."""
OPENING = 0.25
"""Seconds in which a stream that fails at once still becomes an HTTP error."""
RETRY = b"retry: 1000\n\n"
BEAT = b": alive\n\n"
RESUME = "resume_token"
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}

Call: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Any]"


class _Events(StreamingResponse):
    """Ends the call with the response, also when the client left before the first event."""

    def __init__(self, call: Call, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=HEADERS)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()


class StreamEndpoint:
    """One rule of a method that answers a stream.

    An event's id is the answer's `resume_token`; `Last-Event-ID` resumes after it. The stream ends when the service
    drains: clients connect again by themselves.
    """

    def __init__(
        self,
        rule: Rule,
        *,
        contract: Contract,
        backends: Backends,
        verifier: Verifier,
        draining: asyncio.Event,
    ) -> None:
        self._reader = RequestReader(rule, contract)
        self._scope = rule.scope
        self._verifier = verifier
        self._call = backends.stream(rule)
        self._print = Printer(rule.method.output_type) if rule.answered is None else printer_of(rule.answered)
        self._resumes = RESUME in rule.method.input_type.fields_by_name
        self._draining = draining

    async def __call__(self, incoming: Incoming) -> Response:
        """The stream of events; raises what went wrong before the first of them."""
        await self._verifier.admit(incoming.authorization, self._scope)
        message = await self._reader.read(incoming)
        self._resume(message, incoming.request.headers.get("last-event-id"))
        if incoming.request.method == "HEAD":
            return Response(media_type="text/event-stream", headers=HEADERS)
        call = self._call(message, timeout=incoming.timeout(), metadata=incoming.metadata())
        first = asyncio.ensure_future(call.read())
        await asyncio.wait({first}, timeout=OPENING)
        if first.done() and (error := first.exception()) is not None:
            if isinstance(error, grpc.aio.AioRpcError):
                raise failures.from_call(error) from None
            raise error
        return _Events(call, self._events(call, first))

    def _resume(self, message: Any, last: str | None) -> None:
        if not last or not self._resumes or message.resume_token:
            return
        if not last.isascii():
            raise Invalid.field("last-event-id", "is not an id that this stream gave")
        message.resume_token = last

    async def _events(self, call: Call, reading: asyncio.Future[Any]) -> AsyncIterator[bytes]:
        drained = asyncio.ensure_future(self._draining.wait())
        try:
            yield RETRY
            while not drained.done():
                await asyncio.wait({reading, drained}, timeout=HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    answer = reading.result()
                    if answer is grpc.aio.EOF:
                        return
                    reading = asyncio.ensure_future(call.read())
                    yield self._event(answer)
                elif not drained.done():
                    yield BEAT
        except grpc.aio.AioRpcError as error:
            status = failures.from_call(error).status
            yield b"event: error\ndata: " + encoded({"error": error_object(status)}) + b"\n\n"
        finally:
            drained.cancel()
            call.cancel()
            reading.cancel()
            with suppress(BaseException):
                await reading

    def _event(self, answer: Message) -> bytes:
        token = getattr(answer, RESUME, "")
        ident = f"id: {token}\n".encode() if token and token.isprintable() else b""
        return ident + b"data: " + encoded(self._print(answer)) + b"\n\n"
