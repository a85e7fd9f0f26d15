"""Which library answers gRPC, and that readers who do not read hold up nobody."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from chassis.front import Front, native

FLOOD = 100
MORE_THAN_THREADS = 40
"""Readers who do not read: more than the loop's executor has threads."""


@pytest.mark.parametrize(
    ("implementation", "listen", "expected"),
    [
        ("auto", "127.0.0.1:0", True),
        ("auto", "localhost:9000", True),
        ("auto", "[::1]:9000", True),
        ("auto", "0.0.0.0:9000", False),
        ("auto", "roster:9000", False),
        ("auto", "192.168.1.4:9000", False),
        ("native", "0.0.0.0:9000", True),
        ("grpcio", "127.0.0.1:0", False),
    ],
)
def test_left_to_itself_the_native_server_is_for_this_machine_alone(
    implementation: Any, listen: str, expected: bool
) -> None:
    """What strangers can reach is grpcio's, unless it is asked for otherwise."""
    assert native(implementation, listen, None) is expected


def test_with_tls_grpcio_serves() -> None:
    """And the other library is refused, not left without TLS."""
    tls: Any = object()
    assert not native("auto", "127.0.0.1:0", tls)
    with pytest.raises(ValueError, match="knows no TLS"):
        native("native", "127.0.0.1:0", tls)


async def numbers(call: Any) -> list[int]:
    """Of the messages that are left."""
    found = []
    while (message := await call.read()) is not grpc.aio.EOF:
        found.append(int.from_bytes(message[:2], "big"))
    return found


async def test_readers_who_do_not_read_hold_up_nobody() -> None:
    """However many: a stream goes on beside them, and they themselves once they read again."""

    async def flood(_: bytes, __: object) -> AsyncIterator[bytes]:
        for number in range(FLOOD):
            yield number.to_bytes(2, "big") + bytes(50_000)

    server = Front(io_threads=1)
    handlers: dict[str, Any] = {"Flood": grpc.unary_stream_rpc_method_handler(flood)}
    server.add_registered_method_handlers("test.Floods", handlers)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels: list[Any] = [
        grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) for _ in range(MORE_THAN_THREADS + 1)
    ]
    try:
        idle = [peer.unary_stream("/test.Floods/Flood")(b"") for peer in channels[1:]]
        for call in idle:
            assert (await call.read())[:2] == b"\0\0"
        async with asyncio.timeout(30):
            assert await numbers(channels[0].unary_stream("/test.Floods/Flood")(b"")) == list(range(FLOOD))
            assert await numbers(idle[0]) == list(range(1, FLOOD))
    finally:
        for peer in channels:
            await peer.close()
        await server.stop(None)
