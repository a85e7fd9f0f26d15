"""The delivery trail: found by what people ask for, page by page."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.errors import Invalid, NotFound
from chassis.ids import uuid7
from tests.service.notify.receivers import Receiver
from tests.service.notify.world import IN_APP, WEBHOOK, World
from tocsin.notify.v1 import route_pb2, route_service_pb2


async def listed(world: World, **values: Any) -> route_service_pb2.ListRoutesResponse:
    return await world.notify.routes.ListRoutes(route_service_pb2.ListRoutesRequest(**values))


async def ids(world: World, **values: Any) -> set[str]:
    return {route.route_log_id for route in (await listed(world, **values)).routes}


async def test_one_route_log(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    page = await world.page("alice")
    route = await world.becomes(page, "SENT")
    await world.receipt(route.route_log_id, "DELIVERED", receipt_id="r-1")
    found = await world.notify.routes.GetRoute(
        route_service_pb2.GetRouteRequest(route_log_id=route.route_log_id)
    )
    assert (found.alert_id, found.execution_id) == (page.alert.alert_id, page.execution.execution_id)
    assert (found.responder_id, found.channel, found.address) == ("alice", WEBHOOK, receiver.url)
    assert [receipt.receipt_id for receipt in found.receipts] == ["r-1"]
    assert not found.HasField("next_attempt_at")


async def test_the_newest_first_page_by_page(world: World) -> None:
    pages = [await world.page("alice") for _ in range(7)]
    seen: list[str] = []
    token = ""
    for _ in range(4):
        page = await listed(world, page_size=2, page_token=token)
        seen += [route.execution_id for route in page.routes]
        token = page.next_page_token
    assert token == ""
    assert seen == [page.execution.execution_id for page in reversed(pages)]


async def test_every_filter(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    mine = await world.page("alice")
    world.clock.advance(timedelta(hours=1))
    other = await world.page("bob")
    hook, item = await world.becomes(mine, "SENT"), await world.becomes(mine, "SENT", channel=IN_APP)
    bobs = await world.becomes(other, "SENT", channel=IN_APP)
    both = {hook.route_log_id, item.route_log_id}
    assert await ids(world) == both | {bobs.route_log_id}
    assert await ids(world, alert_id=mine.alert.alert_id) == both
    assert await ids(world, execution_id=mine.execution.execution_id) == both
    assert await ids(world, responder_id="alice") == both
    assert await ids(world, responder_id="alice", channel=WEBHOOK) == {hook.route_log_id}
    assert await ids(world, status=[route_pb2.RouteLog.FAILED]) == set()
    assert await ids(world, status=[route_pb2.RouteLog.SENT, route_pb2.RouteLog.FAILED], channel=WEBHOOK) == {
        hook.route_log_id
    }
    assert await ids(world, start=bobs.created_at) == {bobs.route_log_id}
    assert await ids(world, end=bobs.created_at) == both


async def test_what_is_wrong_with_a_question(world: World) -> None:
    for values in (
        {"alert_id": "x"},
        {"execution_id": "x"},
        {"status": [99]},
        {"page_token": "x"},
        {"page_size": -1},
    ):
        with pytest.raises(Invalid):
            await listed(world, **values)
    with pytest.raises(NotFound):
        await world.notify.routes.GetRoute(route_service_pb2.GetRouteRequest(route_log_id=str(uuid7())))
    with pytest.raises(Invalid):
        await world.notify.routes.GetRoute(route_service_pb2.GetRouteRequest(route_log_id="x"))
