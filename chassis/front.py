"""Which library answers gRPC: pygrpc-native on a port of this machine alone, else grpcio (ADR 36)."""

import asyncio
import ipaddress
from typing import Any, Literal, TypeAlias

from pygrpc_native import STREAM_CLOSED, STREAM_FULL
from pygrpc_native.aio import Server

from chassis.tls import Tls

Implementation: TypeAlias = Literal["auto", "native", "grpcio"]
FIRST_LOOK, LAST_LOOK = 0.005, 1.0
"""Seconds after which a slow reader of a stream is looked at again: at first, and at most."""
LINGER = 0.25
"""Seconds that callers have to take what was answered at the end, before connections close."""


def native(implementation: Implementation, listen: str, tls: Tls | None) -> bool:
    """Whether pygrpc-native serves; left to itself (`auto`) it does on a loopback address without TLS.

    It has no TLS, and takes a message of any size before it refuses one that is too large. Raises ValueError when it
    is asked for with TLS.
    """
    if implementation == "auto":
        return tls is None and _loopback(listen.rpartition(":")[0])
    if implementation == "native" and tls is not None:
        raise ValueError("TOCSIN_GRPC_SERVER=native knows no TLS: leave TOCSIN_TLS_CERT empty, or say grpcio")
    return implementation == "native"


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class Front(Server):
    """pygrpc-native's server for asyncio, but a stop loses no answer and a slow reader of a stream takes no thread.

    The library closes connections as soon as handlers have returned, whether or not anybody has taken the answers; and it
    waits for a slow reader in a thread of the loop's executor: a handful of them, and every stream of the process
    stands still.
    """

    async def stop(self, grace: float | None) -> None:
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        if tasks and not self._stopping:
            self._stopping = True  # what comes from here on is answered with UNAVAILABLE
            await asyncio.wait(tasks, timeout=grace or 0)
            await asyncio.sleep(LINGER)
            self._stopping = False
        await super().stop(grace)

    async def _send(self, call: Any, context: Any, response: Any) -> bool:
        data = self._encode(call, context, response)
        if data is None or self._front is None:
            return False
        context._initial_sent = True
        look = FIRST_LOOK
        while (sent := self._front.stream_try_send(call.call_id, data)) == STREAM_FULL:
            await asyncio.sleep(look)
            look = min(2 * look, LAST_LOOK)
        return sent != STREAM_CLOSED
