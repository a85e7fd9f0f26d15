"""The inbox: what is in it, what was read, and a stream that loses and doubles nothing."""

import asyncio

import grpc
import pytest

from chassis.errors import Invalid, NotFound
from chassis.ids import uuid7
from tests.fixtures.eventually import PATIENCE
from tests.service.notify.receivers import Receiver
from tests.service.notify.world import IN_APP, World, a_page, first
from tocsin.notify.v1 import inbox_service_pb2, page_service_pb2


async def listed(world: World, responder: str, **values: object) -> inbox_service_pb2.ListInboxResponse:
    return await world.notify.inbox.ListInbox(
        inbox_service_pb2.ListInboxRequest(responder_id=responder, **values)  # type: ignore[arg-type]
    )


async def test_the_newest_first_page_by_page(world: World) -> None:
    pages = [await world.page("alice", title=f"alert {n}", level=n + 1) for n in range(5)]
    await world.page("bob")
    one = await listed(world, "alice", page_size=2)
    two = await listed(world, "alice", page_size=2, page_token=one.next_page_token)
    three = await listed(world, "alice", page_size=2, page_token=two.next_page_token)
    items = [*one.inbox_items, *two.inbox_items, *three.inbox_items]
    assert [item.alert.title for item in items] == [f"alert {n}" for n in (4, 3, 2, 1, 0)]
    assert items[0].alert == pages[4].alert
    assert (items[0].level, items[0].responder_id) == (5, "alice")
    assert three.next_page_token == ""


async def test_reading_an_item(world: World) -> None:
    page = await world.page("alice")
    (item,) = (await listed(world, "alice", unread_only=True)).inbox_items
    request = inbox_service_pb2.ReadInboxItemRequest(route_log_id=item.route_log_id)
    read = await world.notify.inbox.ReadInboxItem(request)
    assert read.HasField("read_at")
    assert await world.notify.inbox.ReadInboxItem(request) == read
    assert (await listed(world, "alice", unread_only=True)).inbox_items == []
    assert (await world.becomes(page, "READ", channel=IN_APP)).attempts == 1
    assert len(world.events("notification.read")) == 1


async def test_an_acknowledged_item_was_read(world: World) -> None:
    await world.page("alice")
    (item,) = (await listed(world, "alice")).inbox_items
    await world.receipt(item.route_log_id, "ACKNOWLEDGED")
    assert (await listed(world, "alice", unread_only=True)).inbox_items == []


async def test_what_is_no_inbox_item(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    route = await world.becomes(await world.page("alice"), "SENT")
    for route_log_id in (route.route_log_id, str(uuid7())):
        with pytest.raises(NotFound):
            await world.notify.inbox.ReadInboxItem(
                inbox_service_pb2.ReadInboxItemRequest(route_log_id=route_log_id)
            )
    with pytest.raises(Invalid):
        await listed(world, "")
    with pytest.raises(Invalid):
        await listed(world, "alice", page_token="x")


async def test_a_stream_brings_what_comes_from_now_on_from_any_replica(world: World) -> None:
    second = await world.start()
    await world.page("alice", title="before")
    stream = world.notify.watch("alice")
    await stream.wait_for_connection()
    await world.page("alice", title="here")
    await world.page("bob", title="not hers", replica=second)
    await world.page("alice", title="there", replica=second)
    assert [answer.inbox_item.alert.title for answer in await first(stream, 2)] == ["here", "there"]
    stream.cancel()


async def test_a_stream_resumes_where_it_was_with_nothing_lost_or_doubled(world: World) -> None:
    second = await world.start()
    titles = [f"alert {n}" for n in range(60)]
    seen: list[str] = []
    token = "alice.0"

    async def write() -> None:
        for n in range(0, 60, 3):
            pages = [a_page(["alice", "bob"], title=title) for title in titles[n : n + 3]]
            replica = world.notify if n % 2 else second
            await replica.pages.Page(page_service_pb2.PageRequest(pages=pages))

    writing = asyncio.create_task(write())
    turn = 0
    while len(seen) < 60:
        replica, turn = (world.notify, second)[turn % 2], turn + 1
        stream = replica.watch("alice", token)
        for answer in await first(stream, min(7, 60 - len(seen))):
            seen.append(answer.inbox_item.alert.title)
            token = answer.resume_token
        stream.cancel()
    await writing
    assert len(seen) == len(set(seen)) == 60
    assert set(seen) == set(titles)


async def test_positions_appear_in_order_under_many_writers(world: World) -> None:
    second = await world.start()
    stream = world.notify.watch("alice", "alice.0")
    await asyncio.gather(
        *(world.page("alice", replica=replica) for _ in range(100) for replica in (world.notify, second))
    )
    answers = await first(stream, 200)
    assert [a.resume_token for a in answers] == [f"alice.{n}" for n in range(1, 201)]
    stream.cancel()


async def test_many_watchers_of_one_inbox(world: World) -> None:
    streams = [world.notify.watch("alice", "alice.0") for _ in range(100)]
    reading = [asyncio.create_task(first(stream, 2)) for stream in streams]
    for title in ("one", "two"):
        await world.page("alice", title=title)
    for answers in await asyncio.gather(*reading):
        assert [a.inbox_item.alert.title for a in answers] == ["one", "two"]
    for stream in streams:
        stream.cancel()


@pytest.mark.parametrize("token", ["bob.1", "alice.x", "alice.-1", "rubbish", "alice." + "9" * 19])
async def test_a_token_of_another_inbox_is_refused(world: World, token: str) -> None:
    stream = world.notify.watch("alice", token)
    assert await stream.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_streams_end_when_notify_drains(world: World) -> None:
    replica = await world.start()
    await world.page("alice")
    stream = replica.watch("alice", "alice.0")
    await first(stream)
    ending = asyncio.create_task(world.stop())
    async with asyncio.timeout(PATIENCE):
        assert await stream.read() is grpc.aio.EOF
    assert await stream.code() is grpc.StatusCode.OK
    await ending
