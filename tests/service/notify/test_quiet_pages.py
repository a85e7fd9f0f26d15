"""No attempt falls into quiet hours, whatever made it due then; no page is lost to them, and nobody waits for their end."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from services.notify.domain.patience import FAIL_OVER_AFTER
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Hook, Receiver, receiving, status
from tests.service.notify.test_fail_over import exhausted, route_of
from tests.service.notify.world import World
from tocsin.notify.v1 import contact_method_pb2, page_service_pb2, route_pb2, route_service_pb2

MINUTE = timedelta(minutes=1)
QUIET, FAILED_OVER = route_pb2.RouteLog.QUIET_HOURS, route_pb2.RouteLog.FAILED_OVER


def quiet(world: World, start: timedelta, end: timedelta) -> list[contact_method_pb2.QuietHours]:
    """Quiet hours from and to so long from now, to the nearest minute: neither begins or ends within half a minute."""
    now = world.clock.now() + MINUTE / 2
    begins, ends = (f"{now + span:%H:%M}" for span in (start, end))
    return [contact_method_pb2.QuietHours(start_time=begins, end_time=ends, time_zone="UTC")]


@pytest.fixture
async def dead(world: World, receiver: Receiver) -> Receiver:
    """Alice's first way, which is gone."""
    receiver.always = status(410)
    await world.webhook("alice", receiver)
    return receiver


@pytest.fixture
async def second() -> AsyncIterator[Receiver]:
    async with receiving() as built:
        yield built


@pytest.fixture
async def third() -> AsyncIterator[Receiver]:
    async with receiving() as built:
        yield built


async def at(world: World, page: page_service_pb2.Page, receiver: Receiver) -> route_pb2.RouteLog:
    """The route log of a page that goes to a receiver."""
    found = await world.notify.routes.ListRoutes(
        route_service_pb2.ListRoutesRequest(execution_id=page.execution.execution_id)
    )
    return next(route for route in found.routes if route.address == receiver.url)


async def test_a_fail_over_passes_over_a_way_that_keeps_quiet_now(
    world: World, dead: Receiver, second: Receiver, third: Receiver
) -> None:
    """Although it is planned for a moment at which it does not, and goes then."""
    still = quiet(world, -60 * MINUTE, 3 * MINUTE)
    await world.webhook("alice", second, delay=5 * MINUTE, quiet_hours=still)
    await world.webhook("alice", third, delay=10 * MINUTE)
    page = await world.page("alice", severity="HIGH")
    (hook,) = await third.got()
    assert (await route_of(world, hook)).decision == FAILED_OVER
    assert second.hooks == []
    assert exhausted(world) == []
    world.clock.advance(6 * MINUTE)
    (hook,) = await second.got()
    assert (await at(world, page, second)).route_log_id == hook.id


async def test_a_fail_over_uses_a_way_whose_quiet_hours_have_not_begun(
    world: World, dead: Receiver, second: Receiver
) -> None:
    """Planned for their end, but it can be used now."""
    still = quiet(world, 30 * MINUTE, 120 * MINUTE)
    await world.webhook("alice", second, delay=60 * MINUTE, quiet_hours=still)
    await world.page("alice", severity="HIGH")
    (hook,) = await second.got()
    assert (await route_of(world, hook)).decision == FAILED_OVER
    assert exhausted(world) == []


async def test_where_all_that_is_left_keeps_quiet_escalation_goes_on_and_the_page_comes_later(
    world: World, dead: Receiver, second: Receiver
) -> None:
    await world.webhook("alice", second, delay=MINUTE, quiet_hours=quiet(world, -MINUTE, 90 * MINUTE))
    page = await world.page("alice", severity="HIGH")
    await eventually(lambda: exhausted(world) == [(page.execution.execution_id, "alice")])
    waits = await at(world, page, second)
    assert (waits.status, waits.decision, waits.attempts) == (route_pb2.RouteLog.PENDING, QUIET, 0)
    world.clock.advance(91 * MINUTE)
    (hook,) = await second.got()
    assert hook.id == waits.route_log_id
    await eventually(lambda: world.sql("select 1 from route_logs where status = 'PENDING'") == [])
    assert len(exhausted(world)) == 1


async def test_what_is_critical_fails_over_into_quiet_hours(
    world: World, dead: Receiver, second: Receiver
) -> None:
    still = quiet(world, -MINUTE, 90 * MINUTE)
    await world.webhook("alice", second, delay=5 * MINUTE, quiet_hours=still)
    await world.page("alice", severity="CRITICAL")
    await second.got()
    assert exhausted(world) == []


async def test_a_retry_that_falls_into_quiet_hours_waits_and_is_not_waited_for(
    world: World, receiver: Receiver, second: Receiver
) -> None:
    receiver.script = [status(503, "retry-after: 50")]
    await world.webhook("alice", receiver, quiet_hours=quiet(world, MINUTE, 60 * MINUTE))
    await world.webhook("alice", second, delay=10 * MINUTE)
    page = await world.page("alice", severity="HIGH")
    await receiver.got()
    await eventually(lambda: world.sql("select 1 from route_logs where last_error like 'HTTP 503%%'"))
    world.clock.advance(2 * MINUTE)
    await second.got()
    waits = await at(world, page, receiver)
    assert (waits.status, waits.decision, waits.attempts) == (route_pb2.RouteLog.PENDING, QUIET, 1)
    assert waits.HasField("failed_over_at")
    assert len(receiver.hooks) == 1
    world.clock.advance(60 * MINUTE)
    first, again = await receiver.got(2)
    assert first.id == again.id
    assert exhausted(world) == []


def titles(hook: Hook) -> set[Any]:
    return {hook.data["alert"]["title"], *(one["alert"]["title"] for one in hook.data.get("bundled", ()))}


async def test_what_was_gathered_until_they_began_waits_unless_something_critical_takes_it_along(
    world: World, receiver: Receiver
) -> None:
    await world.webhook(
        "alice", receiver, bundle_window=3 * MINUTE, quiet_hours=quiet(world, 2 * MINUTE, 60 * MINUTE)
    )
    await world.page("alice", title="first", severity="LOW")
    await receiver.got()
    for title in ("second", "third"):
        await world.page("alice", title=title, severity="LOW")
    held = "select 1 from route_logs where status = 'PENDING' and decision = '{}' and attempts = 0"
    await eventually(lambda: len(world.sql(held.format("BUNDLED"))) == 2)
    world.clock.advance(4 * MINUTE)
    await eventually(lambda: len(world.sql(held.format("QUIET_HOURS"))) == 2)
    await world.page("alice", title="fire", severity="CRITICAL")
    assert titles((await receiver.got(2))[1]) == {"fire"}
    world.clock.advance(60 * MINUTE)
    assert titles((await receiver.got(3))[2]) == {"second", "third"}
    assert exhausted(world) == []


async def test_quiet_hours_that_are_set_while_a_page_waits_count(world: World, receiver: Receiver) -> None:
    made = await world.webhook("alice", receiver, delay=5 * MINUTE)
    page = await world.page("alice", severity="HIGH")
    start, end = (f"{world.clock.now() + hours:%H:%M}" for hours in (-60 * MINUTE, 60 * MINUTE))
    world.sql(
        "update contact_methods set quiet_hours = %s::jsonb",
        json.dumps([{"start": start, "end": end, "time_zone": "UTC", "weekdays": []}]),
    )
    world.clock.advance(5 * MINUTE + FAIL_OVER_AFTER)

    async def hushed() -> bool:
        return (await at(world, page, receiver)).decision == QUIET

    await eventually(hushed)
    assert receiver.hooks == []
    assert exhausted(world) == []
    assert made.contact_method_id
