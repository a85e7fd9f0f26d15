"""The gRPC server of a service: auth, deadlines, typed errors, metrics, health, reflection and a graceful drain."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from chassis import auth, paging, telemetry
from chassis.errors import DomainError, Invalid, TimedOut, Unimplemented, to_status
from chassis.front import Front, Implementation, native
from chassis.tls import Tls

log = structlog.get_logger()
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
MAX_MESSAGE = 16 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
]
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def remaining() -> float | None:
    """Seconds left of the call under way; None when there is no deadline."""
    at = _deadline.get()
    return None if at is None else at - time.monotonic()


class Server:
    """Serves servicers on one address.

    `scopes` maps each method's full path to the scope that it asks for. Every call is authenticated, bounded by the
    caller's deadline, counted and timed; DomainErrors become statuses with details, anything else INTERNAL without
    any. `implementation` says by which library (chassis.front).
    """

    def __init__(
        self,
        *,
        listen: str,
        verifier: auth.Verifier,
        scopes: Mapping[str, str],
        tls: Tls | None = None,
        implementation: Implementation = "auto",
    ) -> None:
        self._gate = _Gate(verifier, scopes, tls)
        self.grpc: grpc.aio.Server = (
            Front(interceptors=[self._gate], options=OPTIONS, io_threads=1)
            if native(implementation, listen, tls)
            else grpc.aio.server(interceptors=[self._gate], options=OPTIONS)
        )
        self._health = health.aio.HealthServicer()
        self._names = sorted({path.split("/")[1] for path in scopes})
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        self._reflect()
        if tls is None:
            self.port = self.grpc.add_insecure_port(listen)
        else:
            self.port = self.grpc.add_secure_port(listen, tls.server_credentials())
        self.address = f"{listen.rpartition(':')[0]}:{self.port}"

    def _reflect(self) -> None:
        """Answers reflection v1, and v1alpha with the same messages; grpcio ships the older name alone."""
        names = [*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME]
        servicer = reflection.aio.ReflectionServicer(names)
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        for name in (reflection.SERVICE_NAME, "grpc.reflection.v1.ServerReflection"):
            generic = grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": handler})
            self.grpc.add_generic_rpc_handlers((generic,))

    async def start(self) -> None:
        """Starts serving and reports SERVING for the whole and for each service."""
        await self.grpc.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Reports NOT_SERVING, takes no new calls and lets those under way finish within `grace`."""
        await self._health.enter_graceful_shutdown()
        self._gate.draining.set()
        await self.grpc.stop(grace.total_seconds())

    @property
    def draining(self) -> asyncio.Event:
        """Set when the server is about to stop: streams end themselves by it."""
        return self._gate.draining


class _Gate(grpc.aio.ServerInterceptor):
    """The one interceptor: wraps each method's handler once and keeps the wrapped one."""

    def __init__(self, verifier: auth.Verifier, scopes: Mapping[str, str], tls: Tls | None) -> None:
        self._verifier = verifier
        self._tls = tls
        self._scopes = scopes
        self._wrapped: dict[str, Handler] = {}
        self.draining = asyncio.Event()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], "Awaitable[Handler | None]"],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "Handler | None":
        method = handler_call_details.method
        handler = self._wrapped.get(method)
        if handler is None:
            handler = await continuation(handler_call_details)
            if handler is not None and method in self._scopes:
                handler = self._wrapped[method] = self._wrap(method, handler)
        return handler

    def _wrap(self, method: str, handler: Handler) -> Handler:
        """The request is decoded inside, so that bytes which are no message get a typed answer too."""
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler), response_serializer=handler.response_serializer
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler), response_serializer=handler.response_serializer
        )

    def _unary(self, method: str, handler: Handler) -> Callable[..., Awaitable[Any]]:
        behaviour: Any = handler.unary_unary
        decode, scope, verifier = handler.request_deserializer, self._scopes[method], self._verifier
        succeeded = telemetry.CALLS.labels(method, "OK")

        async def call(request: bytes, context: Context) -> Any:
            started = time.perf_counter()
            took = succeeded
            try:
                authorization = self._arrive(context)
                principal = verifier.known(authorization) or await verifier.check(authorization or "")
                verifier.count(principal)
                auth.enter(auth.permit(principal, scope), method)
                message = _decoded(decode, request)
                paging.enter(method, message)
                return await behaviour(message, context)
            except Exception as error:
                failure = _domain(error, method)
                took = telemetry.CALLS.labels(method, failure.code.name)
                await _abort(context, failure)
            finally:
                took.observe(time.perf_counter() - started)

        return call

    def _stream(self, method: str, handler: Handler) -> Callable[..., AsyncIterator[Any]]:
        behaviour: Any = handler.unary_stream
        decode, scope = handler.request_deserializer, self._scopes[method]

        async def call(request: bytes, context: Context) -> AsyncIterator[Any]:
            try:
                authorization = self._arrive(context)
                auth.enter(await self._verifier.admit(authorization, scope), method)
                async for answer in behaviour(_decoded(decode, request), context):
                    if self._verifier.known(authorization) is None:  # nothing for a credential that has ended
                        await self._verifier.check(authorization or "")
                    yield answer
            except Exception as error:
                await _abort(context, _domain(error, method))

        return call

    def _arrive(self, context: Context) -> str | None:
        """Takes over the caller's trace and deadline; answers the `authorization` header.

        Raises Denied when the peer is not one of those that may call.
        """
        if self._tls is not None:
            self._tls.check_peer(context)
        authorization = parent = None
        for key, value in context.invocation_metadata() or ():
            if key == "authorization":
                authorization = str(value)
            elif key == "traceparent":
                parent = str(value)
        telemetry.enter_trace(parent)
        left = context.time_remaining()
        _deadline.set(None if left is None else time.monotonic() + left)
        return authorization


def _decoded(decode: Any, request: bytes) -> Any:
    try:
        return decode(request)
    except DecodeError:
        raise Invalid("the request is not a message of this method", reason="MALFORMED_MESSAGE") from None


def _domain(error: Exception, method: str) -> DomainError:
    if isinstance(error, DomainError):
        return error
    if isinstance(error, TimeoutError):
        return TimedOut("the deadline passed")
    if isinstance(error, NotImplementedError):
        return Unimplemented(f"{method} is not available yet")
    log.exception("call.failed", method=method)
    return DomainError("internal error")


async def _abort(context: Context, error: DomainError) -> None:
    details = to_status(error).SerializeToString()
    await context.abort(error.code, error.message, trailing_metadata=(("grpc-status-details-bin", details),))
