"""Channels to peers that are away, come back, or are slow to greet."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from chassis.auth import Verifier
from chassis.client import channel
from chassis.server import Server
from tests.fixtures.eventually import PATIENCE, eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(serve: Serve) -> AsyncIterator[str]:
    """A port where each connection is served so."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"{host}:{port}"


async def test_a_peer_that_is_away_is_tried_several_times_a_second() -> None:
    """However long it has been away: it is called as soon as it is back."""
    tries: list[float] = []

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tries.append(time.monotonic())
        writer.close()

    async with listening(refuse) as address:
        peer = channel(address)
        ready = asyncio.create_task(peer.channel_ready())
        await eventually(lambda: len(tries) >= 12, timeout=30)
        ready.cancel()
        await peer.close()
    pauses = [later - earlier for earlier, later in pairwise(tries[8:])]
    assert min(pauses) < 0.5, pauses


@pytest.mark.parametrize("slowness", [0.0, 0.6])
async def test_a_peer_may_take_its_time_to_greet(slowness: float) -> None:
    """As one does that has just started, or is far away; that it is tried often does not cut it short."""
    server = Server(listen="127.0.0.1:0", verifier=Verifier("k" * 32), scopes={})
    await server.start()
    host, _, port = server.address.rpartition(":")

    async def delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer_reader, peer_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pass_on(reader, peer_writer), pass_on(peer_reader, writer, after=slowness))

    async with listening(delayed) as address:
        peer = channel(address)
        try:
            async with asyncio.timeout(PATIENCE):
                await peer.channel_ready()
        finally:
            await peer.close()
            await server.drain()


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, after: float = 0) -> None:
    """Every byte from one side to the other, the first ones `after` seconds late."""
    try:
        first = await reader.read(65536)
        await asyncio.sleep(after)
        writer.write(first)
        while found := await reader.read(65536):
            writer.write(found)
    except ConnectionError:
        pass
    finally:
        writer.close()
