"""Failed requests as HTTP: the status, the error object, and nothing that only a developer may read."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from starlette.responses import Response

from chassis.errors import KINDS, DomainError, Exhausted, Invalid, Unimplemented, from_status, to_status
from services.gateway.printing import encoded, error_object

QUIET = {
    grpc.StatusCode.UNAVAILABLE: "a part of the service is away; try again",
    grpc.StatusCode.DEADLINE_EXCEEDED: "the deadline passed",
    grpc.StatusCode.UNIMPLEMENTED: "this is not implemented",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "too much at once",
    grpc.StatusCode.CANCELLED: "the call was cancelled",
}
"""What people read when the transport, not a service of ours, says that a call failed."""
RETRY_AFTER = "1"
"""Seconds after which a caller that was turned away may come again."""


class HttpError(DomainError):
    """An error that HTTP has a status of its own for."""

    http: ClassVar[int]

    @property
    def headers(self) -> Mapping[str, str]:
        """What the answer says in its headers."""
        return {}


class MethodNotAllowed(HttpError, Unimplemented):
    """The path is known, with other methods (405)."""

    http = 405
    default_reason = "METHOD_NOT_ALLOWED"

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        self.allowed = sorted(allowed)
        super().__init__(f"{method[:20]} is not allowed here; want one of {', '.join(self.allowed)}")

    @property
    def headers(self) -> Mapping[str, str]:
        """The methods that are allowed."""
        return {"allow": ", ".join(self.allowed)}


class TooLarge(HttpError, Exhausted):
    """The body is larger than it may be (413)."""

    http = 413
    default_reason = "BODY_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is too large; want at most {limit} bytes")


class UrlTooLong(HttpError, Invalid):
    """The URL is longer than it may be (414)."""

    http = 414
    default_reason = "URL_TOO_LONG"

    def __init__(self, limit: int) -> None:
        super().__init__(f"the URL is too long; want at most {limit} bytes")


class CallFailed(DomainError):
    """A backend's answer, with all the details that it gave."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message, reason=from_status(status).reason)
        self.status = status


class Stale(CallFailed, HttpError):
    """The resource is not in the state that `If-Match` names (412)."""

    http = 412


def from_call(error: grpc.aio.AioRpcError) -> CallFailed:
    """The failure of a call; what the transport says, or a server that is not ours, is put into our words."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type]  # AioRpcError has what it reads
    if status is None or not status.details:
        kind = KINDS.get(error.code(), DomainError)
        status = to_status(kind(QUIET.get(error.code(), "internal error")))
    return CallFailed(status)


def status_of(error: DomainError) -> status_pb2.Status:
    """The google.rpc.Status of any error."""
    return error.status if isinstance(error, CallFailed) else to_status(error)


def response(error: DomainError) -> Response:
    """The HTTP answer of an error (CONTRACT §1)."""
    body: dict[str, Any] = error_object(status_of(error))
    headers: dict[str, str] = {}
    if isinstance(error, HttpError):
        body["code"] = error.http
        headers.update(error.headers)
    if body["code"] == 401:
        headers["www-authenticate"] = 'Bearer realm="tocsin"'
    if body["code"] in (429, 503):
        headers["retry-after"] = _retry_after(error)
    if body["code"] == 429:
        facts = from_status(status_of(error)).facts
        headers.update({f"ratelimit-{name}": facts[name] for name in ("limit", "remaining") if name in facts})
    return Response(encoded({"error": body}), body["code"], headers=headers, media_type="application/json")


def _retry_after(error: DomainError) -> str:
    """Whole seconds after which to come again: what a service says by `google.rpc.RetryInfo`, else RETRY_AFTER."""
    info = error_details_pb2.RetryInfo()
    for detail in status_of(error).details:
        if detail.Unpack(info):
            return str(max(1, math.ceil(info.retry_delay.seconds + info.retry_delay.nanos / 1e9)))
    return RETRY_AFTER
