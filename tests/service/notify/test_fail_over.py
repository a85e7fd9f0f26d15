"""A way that does not work holds up nobody: the next one is used, and when none is left escalation hears of it once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.notify.domain.patience import FAIL_OVER_AFTER
from tests.fixtures.eventually import eventually
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, receiving, status
from tests.service.notify.world import World
from tocsin.notify.v1 import route_pb2, route_service_pb2

FAILED_OVER = route_pb2.RouteLog.FAILED_OVER


@pytest.fixture
async def chat(world: World) -> AsyncIterator[Receiver]:
    """Alice's second way, used after five minutes."""
    async with receiving() as second:
        await world.webhook("alice", second, delay=timedelta(minutes=5))
        yield second


def exhausted(world: World) -> list[tuple[str, str]]:
    found = world.events("notification.exhausted")
    return [(e.route_log.execution_id, e.route_log.responder_id) for _, e in found]


async def route_of(world: World, hook: receivers.Hook) -> route_pb2.RouteLog:
    return await world.notify.routes.GetRoute(route_service_pb2.GetRouteRequest(route_log_id=hook.id))


async def test_a_method_that_is_gone_makes_the_next_one_due_at_once(
    world: World, receiver: Receiver, chat: Receiver
) -> None:
    receiver.always = status(410)
    await world.webhook("alice", receiver)
    await world.page("alice")
    (hook,) = await chat.got()
    route = await route_of(world, hook)
    assert route.decision == FAILED_OVER
    assert route.delay.ToTimedelta() == timedelta(minutes=5)
    assert exhausted(world) == []


async def test_a_method_that_keeps_failing_is_not_waited_for_but_tried_on(
    world: World, receiver: Receiver, chat: Receiver
) -> None:
    receiver.always = status(429, "retry-after: 300")
    await world.webhook("alice", receiver)
    page = await world.page("alice")
    await chat.got()
    first = next(r for r in await world.routes(page) if r.address == receiver.url)
    assert first.HasField("failed_over_at")
    assert first.status == route_pb2.RouteLog.PENDING
    receiver.always = status(200)
    world.clock.advance(timedelta(minutes=6))
    await receiver.got(2)
    assert {hook.id for hook in receiver.hooks} == {first.route_log_id}


async def test_one_that_only_hangs_fails_over_when_its_time_is_up(
    world: World, receiver: Receiver, chat: Receiver
) -> None:
    receiver.always = receivers.hang
    await world.webhook("alice", receiver)
    await world.page("alice")
    await receiver.got()
    assert chat.hooks == []
    world.clock.advance(FAIL_OVER_AFTER)
    await chat.got()
    assert exhausted(world) == []


async def test_when_nothing_is_left_it_is_said_once(world: World, receiver: Receiver, chat: Receiver) -> None:
    receiver.always = chat.always = status(410)
    second = await world.start()
    await world.webhook("alice", receiver)
    page = await world.page("alice", replica=second)
    await eventually(lambda: exhausted(world) == [(page.execution.execution_id, "alice")])
    for route in await world.routes(page):
        await world.receipt(route.route_log_id, "FAILED", receipt_id="again")
    world.clock.advance(timedelta(hours=1))
    await world.becomes(await world.page("bob"), "SENT", channel=1)
    assert len(exhausted(world)) == 1
    assert len(world.events("notification.failed")) == 2


async def test_each_person_of_a_step_is_judged_alone(
    world: World, receiver: Receiver, chat: Receiver
) -> None:
    receiver.always = status(410)
    await world.webhook("bob", receiver)
    page = await world.page("alice", "bob", "carol")
    await eventually(lambda: exhausted(world) == [(page.execution.execution_id, "bob")])
    assert chat.hooks == []


async def test_a_person_who_is_out_of_reach_may_be_reached_in_the_background(
    world: World, receiver: Receiver
) -> None:
    """`exhausted` makes escalation go on; the page is tried for its 24 hours all the same."""
    receiver.always = status(503, "retry-after: 120")
    await world.webhook("alice", receiver)
    page = await world.page("alice")
    await eventually(lambda: exhausted(world))
    receiver.always = status(200)
    world.clock.advance(timedelta(minutes=3))
    assert (await world.becomes(page, "SENT")).HasField("failed_over_at")
    assert len(exhausted(world)) == 1


async def test_two_replicas_decide_once(world: World, receiver: Receiver) -> None:
    await world.start()
    receiver.always = status(410)
    for name in ("alice", "bob", "carol", "dave"):
        await world.webhook(name, receiver)
    await asyncio.gather(
        *(world.page("alice", "bob", "carol", "dave", replica=world.replicas[n % 2]) for n in range(10))
    )
    await eventually(lambda: world.sql("select 1 from route_logs where fail_over_at is not null") == [])
    await eventually(lambda: world.sql("select 1 from route_logs where status = 'PENDING'") == [])
    assert len(exhausted(world)) == len(set(exhausted(world))) >= 4


async def test_what_was_skipped_is_in_the_trail_when_it_is_asked_for(
    world: World, receiver: Receiver
) -> None:
    await world.webhook("alice", receiver, enabled=False)
    page = await world.page("alice")
    assert await world.routes(page) == []
    (route,) = (
        await world.notify.routes.ListRoutes(
            route_service_pb2.ListRoutesRequest(
                execution_id=page.execution.execution_id, status=[route_pb2.RouteLog.SKIPPED]
            )
        )
    ).routes
    assert route.decision == route_pb2.RouteLog.DISABLED
    every = await world.notify.routes.ListRoutes(
        route_service_pb2.ListRoutesRequest(execution_id=page.execution.execution_id, show_skipped=True)
    )
    assert len(every.routes) == 2
    assert exhausted(world) == [], "nothing has failed: an operator's or the person's own choice"
