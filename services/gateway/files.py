"""Answers that are files: bytes of a kind that the method names (`google.api.HttpBody`), at once or in pieces."""

from collections.abc import AsyncIterator
from email.message import Message as Head
from typing import Any, TypeAlias

import grpc
import structlog
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from chassis.auth import Verifier
from services.gateway import failures
from services.gateway.backends import Backends
from services.gateway.contract import Contract, Rule
from services.gateway.http import Incoming
from services.gateway.requests import RequestReader

log = structlog.get_logger()
DISPOSITION = "content-disposition"
"""The initial metadata by which a method gives its file a name; without it the path does."""
ENDINGS = {
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/json": ".json",
    "text/calendar": ".ics",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
    "application/zip": ".zip",
}
ANY = "application/octet-stream"

Call: TypeAlias = "grpc.aio.UnaryStreamCall[Any, Any]"


def headers(rule: Rule, body: Any, metadata: Any) -> dict[str, str]:
    """The headers of a file: its kind, and the name under which a browser saves it."""
    media = body.content_type or ANY
    given = dict(metadata or ()).get(DISPOSITION)
    if not isinstance(given, str):
        stem = next((part for part in reversed(rule.template.segments) if part not in ("*", "**")), "file")
        ending = ENDINGS.get(Head.get_content_type(_head(media)), "")
        given = f'attachment; filename="{stem}{ending}"'
    return {
        "content-type": media,
        DISPOSITION: given,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
    }


def _head(media: str) -> Head:
    head = Head()
    head["content-type"] = media
    return head


class FileEndpoint:
    """One rule of a method that streams a file; the content type is that of the first piece."""

    def __init__(self, rule: Rule, *, contract: Contract, backends: Backends, verifier: Verifier) -> None:
        self._rule = rule
        self._reader = RequestReader(rule, contract)
        self._verifier = verifier
        self._call = backends.stream(rule)

    async def __call__(self, incoming: Incoming) -> Response:
        """The file as it comes; raises what went wrong before its first piece."""
        await self._verifier.admit(incoming.authorization, self._rule.scope)
        message = await self._reader.read(incoming)
        call = self._call(message, timeout=incoming.timeout(), metadata=incoming.metadata())
        try:
            first = await call.read()
            metadata = await call.initial_metadata()
        except grpc.aio.AioRpcError as error:
            raise failures.from_call(error) from None
        if first is grpc.aio.EOF:
            return Response(status_code=204)
        named = headers(self._rule, self._body(first), metadata)
        if incoming.request.method == "HEAD":
            call.cancel()
            return Response(headers=named)
        return _Download(call, self._pieces(call, first), named)

    def _body(self, answer: Any) -> Any:
        return getattr(answer, self._rule.response_body) if self._rule.response_body else answer

    async def _pieces(self, call: Call, answer: Any) -> AsyncIterator[bytes]:
        while answer is not grpc.aio.EOF:
            yield self._body(answer).data
            answer = await call.read()


class _Download(StreamingResponse):
    """Ends the call with the response; one that fails on the way is cut, so that nobody takes a part for the whole."""

    def __init__(self, call: Call, pieces: AsyncIterator[bytes], named: dict[str, str]) -> None:
        super().__init__(pieces, headers=named)
        self._call = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._call.cancel()

    async def stream_response(self, send: Send) -> None:
        """Sends the pieces; the end is said only when all of them have come."""
        try:
            await super().stream_response(send)
        except grpc.aio.AioRpcError as error:
            log.warning("file.cut", code=error.code().name, details=error.details())
