"""Those who were paged hear that somebody has taken the alert, where their method asks for it, and once."""

from datetime import timedelta

from tests.fixtures.eventually import eventually
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, receiving
from tests.service.notify.test_replicas import publish
from tests.service.notify.world import World
from tocsin.notify.v1 import route_pb2, route_service_pb2


async def settled(world: World, version: int) -> None:
    """Waits until the event has been handled."""
    await eventually(lambda: world.sql("select 1 from alerts where settled_version = %s", version))


async def test_who_was_paged_is_told_once_and_who_did_it_is_not(world: World) -> None:
    async with receiving() as hers, receiving() as his, receiving() as quiet:
        await world.webhook("alice", hers, notify_on_resolve=True)
        await world.webhook("bob", his, notify_on_resolve=True)
        await world.webhook("carol", quiet)
        page = await world.page("alice", "bob", "carol")
        for receiver in (hers, his, quiet):
            await receiver.got()
        await eventually(lambda: world.sql("select 1 from route_logs where status = 'PENDING'") == [])
        alert_id = page.alert.alert_id
        await publish(world, "alert.acknowledged", alert_id, version=3, acked_by="bob", title="taken")
        news = (await hers.got(2))[1]
        assert news.kind == "alert.acknowledged"
        assert (news.data["alert"]["acked_by"], news.data["alert"]["title"]) == ("bob", "taken")
        route = await world.notify.routes.GetRoute(route_service_pb2.GetRouteRequest(route_log_id=news.id))
        assert (route.kind, route.responder_id) == (route_pb2.RouteLog.NEWS, "alice")
        await publish(world, "alert.acknowledged", alert_id, version=3, acked_by="bob")
        await publish(world, "alert.closed", alert_id, version=4, closed_by="dave")
        assert (await his.got(2))[1].kind == "alert.closed"
        await settled(world, 4)
        assert [len(receiver.hooks) for receiver in (hers, his, quiet)] == [2, 2, 1]


async def test_one_whose_page_was_on_its_way_hears_of_it_too(world: World, receiver: Receiver) -> None:
    """The page is cancelled while its bytes are out: the person may have it."""
    await world.webhook("alice", receiver, notify_on_resolve=True)
    receiver.script = [receivers.hang]
    page = await world.page("alice")
    await receiver.got()
    await publish(world, "alert.acknowledged", page.alert.alert_id, version=3, acked_by="bob")
    assert (await receiver.got(2))[1].kind == "alert.acknowledged"
    states = dict(world.sql("select kind, status from route_logs where channel = 'WEBHOOK'"))
    assert states["PAGE"] == "CANCELLED"


async def test_news_that_fail_exhaust_nobody(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, notify_on_resolve=True)
    page = await world.page("alice")
    await world.becomes(page, "SENT")
    receiver.always = receivers.status(410)
    await publish(world, "alert.closed", page.alert.alert_id, version=3, closed_by="bob")
    await eventually(lambda: world.events("notification.failed"))
    (item,) = await world.routes(page, 1)
    await world.receipt(item.route_log_id, "FAILED")
    await world.becomes(await world.page("bob"), "SENT", channel=1)
    assert world.events("notification.exhausted") == []
    assert world.sql("select 1 from route_logs where fail_over_at is not null") == []


async def test_who_was_not_paged_yet_hears_nothing(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, notify_on_resolve=True, delay=timedelta(minutes=5))
    page = await world.page("alice")
    await publish(world, "alert.closed", page.alert.alert_id, version=3)
    await world.becomes(page, "CANCELLED")
    assert world.sql("select 1 from route_logs where kind = 'NEWS'") == []
    assert receiver.hooks == []
