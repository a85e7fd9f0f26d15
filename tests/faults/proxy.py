"""A way between two processes that a test can cut, hold still, slow down, or rob of single answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

CHUNK = 65_536


class Proxy:
    """Passes on what comes to `port` to another port of this machine, and back."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.lose: Callable[[object, bytes], bool] = lambda _, __: False
        """Asked of each connection's pieces as a client sends them: where true, it arrives, and no answer comes back."""
        self.lost = 0
        self.bytes_per_second = 0.0
        """The speed of each connection in each direction; 0 for no limit."""
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._links: set[asyncio.Task[None]] = set()

    def hold(self) -> None:
        """From now on nothing passes and nothing ends: both sides look alive to each other."""
        self._flowing.clear()

    def release(self) -> None:
        """What was held passes again."""
        self._flowing.set()

    def cut(self) -> None:
        """Ends every connection; new ones are taken."""
        for link in self._links:
            link.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side or the test ends it."""
        link = asyncio.current_task()
        assert link is not None
        self._links.add(link)
        writers = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writers.append(far_writer)
            robbed = asyncio.Event()
            ways = [
                asyncio.create_task(self._there(reader, far_writer, robbed)),
                asyncio.create_task(self._back(far_reader, writer, robbed)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._links.discard(link)
            for one in writers:
                one.transport.abort()

    async def _there(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, robbed: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            await self._pass()
            if self.lose(robbed, piece):
                robbed.set()
            await self._write(writer, piece)

    async def _back(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, robbed: asyncio.Event
    ) -> None:
        while piece := await reader.read(CHUNK):
            await self._pass()
            if robbed.is_set():
                self.lost += 1
                return
            await self._write(writer, piece)

    async def _pass(self) -> None:
        await self._flowing.wait()

    async def _write(self, writer: asyncio.StreamWriter, piece: bytes) -> None:
        if self.bytes_per_second:
            await asyncio.sleep(len(piece) / self.bytes_per_second)
        writer.write(piece)
        await writer.drain()


@asynccontextmanager
async def proxying(target: int) -> AsyncIterator[Proxy]:
    """A proxy to a port, until the end of the block."""
    proxy = Proxy(target)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), 5)
