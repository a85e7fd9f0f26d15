"""Channels to the other services: a deadline on every call, the caller's trace, retries, and typed errors back."""

import asyncio
import json
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

import grpc

from chassis import telemetry
from chassis.errors import Unavailable, from_rpc
from chassis.server import MAX_MESSAGE, remaining
from chassis.tls import Tls

RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

CONNECTION = [
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.keepalive_time_ms", 15_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.use_local_subchannel_pool", 1),
]
"""A peer that is back is connected to within 0.25 s. The `min` is what one try may take, handshake and all: a peer that has
just started is slow."""


def channel(
    address: str,
    *,
    token: str = "",
    deadline: timedelta = timedelta(seconds=5),
    idempotent: Iterable[str] = (),
    tls: Tls | None = None,
) -> grpc.aio.Channel:
    """A channel whose calls end within `deadline`, and never after the call on whose behalf they are made.

    `idempotent` are full paths (`/package.Service/Method`) that are retried with backoff while the peer is away;
    failed calls raise chassis.errors. Without `token` the calls carry the metadata they are given alone.
    """
    names = [{"service": path.split("/")[1], "method": path.split("/")[2]} for path in idempotent]
    config = {"methodConfig": [{"name": names, "retryPolicy": RETRY}]} if names else {}
    return opened(
        address,
        [
            ("grpc.service_config", json.dumps(config)),
            ("grpc.max_receive_message_length", MAX_MESSAGE),
            ("grpc.max_send_message_length", MAX_MESSAGE),
            *CONNECTION,
        ],
        tls,
        [_Outgoing(token, deadline)],
    )


async def connected(peer: grpc.aio.Channel, name: str, *, within: timedelta) -> None:
    """Returns as soon as the peer can be called; raises Unavailable, naming it, when it cannot within that time."""
    try:
        async with asyncio.timeout(within.total_seconds()):
            await peer.channel_ready()
    except TimeoutError:
        raise Unavailable(f"{name} is away") from None


def opened(
    address: str,
    options: Sequence[tuple[str, Any]],
    tls: Tls | None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
) -> grpc.aio.Channel:
    """A channel by mutual TLS, or in plain text without."""
    if tls is None:
        return grpc.aio.insecure_channel(address, options, interceptors=interceptors)
    return tls.channel(
        lambda credentials: grpc.aio.secure_channel(address, credentials, options, interceptors=interceptors)
    )


class _Outgoing(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: str, deadline: timedelta) -> None:
        self._authorization = f"Bearer {token}" if token else ""
        self._deadline = deadline.total_seconds()

    async def intercept_unary_unary(
        self,
        continuation: Callable[[grpc.aio.ClientCallDetails, Any], Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request: Any,
    ) -> Any:
        metadata = grpc.aio.Metadata(*(client_call_details.metadata or ()))
        if self._authorization and metadata.get("authorization") is None:
            metadata.add("authorization", self._authorization)
        if (parent := telemetry.trace_parent()) and metadata.get("traceparent") is None:
            metadata.add("traceparent", parent)
        limits = (client_call_details.timeout or self._deadline, remaining())
        details = grpc.aio.ClientCallDetails(
            method=client_call_details.method,
            timeout=max(0.001, min(limit for limit in limits if limit is not None)),
            metadata=metadata,
            credentials=client_call_details.credentials,
            wait_for_ready=client_call_details.wait_for_ready,
        )
        try:
            return await (await continuation(details, request))
        except grpc.aio.AioRpcError as error:
            raise from_rpc(error) from None
