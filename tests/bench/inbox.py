"""Inboxes with many watchers: how long until all of them have an item."""

import asyncio
import statistics
import time
from typing import Any

import grpc
import uvloop

from chassis.client import channel
from tests.bench.deliver import ENVIRONMENT, a_page
from tests.bench.process import alone
from tocsin.notify.v1 import (
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    page_service_pb2,
    page_service_pb2_grpc,
)

WATCHERS, CONNECTIONS, ROUNDS = 2_000, 20, 5
AT_ONCE = 200
"""Streams opened together: gRPC's core turns calls away when more than 1,000 wait to be taken up."""


async def measure(address: str, token: str, inboxes: int) -> list[float]:
    """Seconds from the call of Page until the last watcher has the item, for each round."""
    names = [f"watched-{inboxes}-{n}" for n in range(inboxes)]
    channels = [
        grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        for _ in range(CONNECTIONS)
    ]
    streams: list[Any] = []
    for n in range(WATCHERS):
        stub = inbox_service_pb2_grpc.InboxServiceStub(channels[n % CONNECTIONS])
        request = inbox_service_pb2.WatchInboxRequest(responder_id=names[n % inboxes])
        streams.append(stub.WatchInbox(request, metadata=(("authorization", f"Bearer {token}"),)))
        if len(streams) % AT_ONCE == 0:
            await asyncio.gather(*(stream.wait_for_connection() for stream in streams[-AT_ONCE:]))
    took = []
    async with channel(address, token=token) as peer:
        pages = page_service_pb2_grpc.PageServiceStub(peer)
        for _ in range(ROUNDS):
            reading = [asyncio.ensure_future(stream.read()) for stream in streams]
            page = a_page(names[0])
            page.execution.recipients[:] = names
            began = time.monotonic()
            await pages.Page(page_service_pb2.PageRequest(pages=[page]))
            answers = await asyncio.gather(*reading)
            took.append(time.monotonic() - began)
            assert {answer.inbox_item.alert.alert_id for answer in answers} == {page.alert.alert_id}
    for stream in streams:
        stream.cancel()
    for one in channels:
        await one.close()
    return took


def main() -> None:
    """One inbox that all watch, and one for each two watchers."""
    with alone("notify", **ENVIRONMENT) as (address, token, _):
        for inboxes in (1, 1_000):
            took = uvloop.run(measure(address, token, inboxes))
            print(
                f"an item to {WATCHERS:,} watchers of {inboxes:,} inboxes: "
                f"median {statistics.median(took) * 1e3:.0f} ms, longest {max(took) * 1e3:.0f} ms"
            )


if __name__ == "__main__":
    main()
