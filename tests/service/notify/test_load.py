"""Many pages become few messages where a method asks for it; none is lost, and nobody else waits for them."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from chassis.errors import Invalid
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Hook, Receiver, receiving, status
from tests.service.notify.test_replicas import publish
from tests.service.notify.world import World, a_page
from tocsin.notify.v1 import page_service_pb2, route_pb2

WINDOW = timedelta(seconds=30)


def titles(hook: Hook) -> set[str]:
    """The alerts that a message is about."""
    return {hook.data["alert"]["title"], *(one["alert"]["title"] for one in hook.data.get("bundled", ()))}


async def held(world: World, count: int, decision: str = "BUNDLED") -> None:
    """Waits until so many pages are made to wait."""
    query = f"select 1 from route_logs where status = 'PENDING' and attempts = 0 and decision = '{decision}'"
    await eventually(lambda: len(world.sql(query)) == count)


async def pages(world: World, *named: str, **values: Any) -> None:
    """Pages alice about alerts with these titles, one after the other."""
    for title in named:
        await world.page("alice", title=title, **values)


async def test_what_comes_within_the_window_travels_together(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    assert titles((await receiver.got())[0]) == {"first"}
    await pages(world, "a", "b", "c", severity="LOW")
    await held(world, 3)
    assert len(receiver.hooks) == 1
    world.clock.advance(WINDOW)
    bundle = (await receiver.got(2))[1]
    assert titles(bundle) == {"a", "b", "c"}
    await eventually(lambda: world.sql("select 1 from route_logs where status = 'PENDING'") == [])
    rows = world.sql("select status, attempts from route_logs where bundle_id::text = %s", bundle.id)
    assert rows == [("SENT", 1)] * 3
    assert len(receiver.hooks) == 2


async def test_each_page_of_a_bundle_has_its_own_receipt(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    await receiver.got()
    await pages(world, "a", "b", severity="LOW")
    await held(world, 2)
    world.clock.advance(WINDOW)
    bundle = (await receiver.got(2))[1]
    other = bundle.data["bundled"][0]
    token = other["receipt_url"].partition("?token=")[2]
    route = await world.receipt(
        other["route_log_id"], "ACKNOWLEDGED", replica=await world.anonymous(), link_token=token
    )
    assert route.status == route_pb2.RouteLog.ACKNOWLEDGED
    assert world.escalation.acknowledged == [(other["alert"]["alert_id"], "alice")]
    assert other["alert"]["alert_id"] == route.alert_id != bundle.data["alert"]["alert_id"]


async def test_the_first_critical_page_does_not_wait(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    await receiver.got()
    await pages(world, "small", severity="LOW")
    await held(world, 1)
    await pages(world, "fire", severity="CRITICAL")
    assert titles((await receiver.got(2))[1]) == {"fire"}
    await pages(world, "more fire", severity="CRITICAL")
    await held(world, 2)
    world.clock.advance(WINDOW)
    bundle = (await receiver.got(3))[2]
    assert titles(bundle) == {"small", "more fire"}
    assert bundle.data["alert"]["title"] == "more fire", "the worst comes first"


async def test_pages_over_the_rate_travel_together_later(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, per_minute=2)
    await pages(world, "a", "b", severity="LOW")
    await receiver.got(2)
    await pages(world, "c", "d", "e", severity="LOW")
    await held(world, 3, "RATE_LIMITED")
    world.clock.advance(timedelta(seconds=31))
    assert titles((await receiver.got(3))[2]) == {"c", "d", "e"}
    await eventually(lambda: world.sql("select 1 from route_logs where fail_over_at is not null") == [])


async def test_a_bundle_is_tried_again_as_it_was_with_the_same_id(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    await receiver.got()
    worst = await world.page("alice", title="a", severity="HIGH")
    await pages(world, "b", "c", severity="LOW")
    await held(world, 3)
    receiver.script = [status(500, "retry-after: 30")]
    world.clock.advance(WINDOW)
    first = (await receiver.got(2))[1]
    await eventually(lambda: len(world.sql("select 1 from route_logs where last_error = 'HTTP 500'")) == 3)
    await publish(world, "alert.acknowledged", worst.alert.alert_id, version=3)
    await world.becomes(worst, "CANCELLED")
    await pages(world, "late", severity="LOW")
    await held(world, 1)
    world.clock.advance(timedelta(seconds=29))
    assert len(receiver.hooks) == 2
    world.clock.advance(timedelta(seconds=2))
    again = next(hook for hook in (await receiver.got(3))[2:] if hook.id == first.id)
    assert titles(again) == {"b", "c"}, "what nobody need know of is left out, and nothing is added"


async def test_two_replicas_send_one_bundle(world: World, receiver: Receiver) -> None:
    second = await world.start()
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    await receiver.got()
    given = [a_page(["alice"], severity="LOW", title=f"{n}") for n in range(100)]
    await asyncio.gather(
        *(
            (world.notify if n % 20 else second).pages.Page(
                page_service_pb2.PageRequest(pages=given[n : n + 10])
            )
            for n in range(0, 100, 10)
        )
    )
    await held(world, 100)
    world.clock.advance(WINDOW)

    def none_waits() -> bool:
        assert (
            world.sql(
                "select decision, attempts, bundle_id, due_at - now() from route_logs where status = 'PENDING'"
            )
            == []
        )
        return True

    await eventually(none_waits)
    assert len(receiver.hooks) == 2
    assert titles(receiver.hooks[1]) == {f"{n}" for n in range(100)}


async def test_a_page_that_another_replica_is_just_claiming_travels_with_the_others(
    world: World, receiver: Receiver
) -> None:
    """It would wait for the next bundle otherwise."""
    await world.webhook("alice", receiver, bundle_window=WINDOW)
    await pages(world, "first", severity="LOW")
    await receiver.got()
    await pages(world, "a", "b", "c", severity="LOW")
    await held(world, 3)
    with psycopg.connect(world.database.admin) as claiming:
        claiming.execute(
            "update notify.route_logs set attempts = 1, due_at = due_at + interval '6 s' where route_log_id ="
            " (select max(route_log_id::text)::uuid from notify.route_logs where channel = 'WEBHOOK')"
        )
        world.clock.advance(WINDOW)
        waits = (
            "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
        await eventually(lambda: world.sql(waits))
    assert titles((await receiver.got(2))[1]) == {"a", "b", "c"}


async def test_a_person_gets_no_more_than_people_may_by_all_methods_together(
    world: World, receiver: Receiver
) -> None:
    await world.stop()
    await world.start(person_per_minute=2)
    async with receiving() as other:
        await world.webhook("alice", receiver)
        await world.webhook("alice", other, path="/other")
        await pages(world, "a", severity="LOW")
        await receiver.got()
        await other.got()
        await pages(world, "b", severity="LOW")
        await held(world, 2, "RATE_LIMITED")
        await world.webhook("bob", other, path="/bob")
        await world.page("bob", severity="LOW")
        await other.got(2)
        assert len(receiver.hooks) == 1


async def test_a_storm_for_one_person_delays_nobody_else(world: World, receiver: Receiver) -> None:
    """The one who is flooded gets few messages; the other's page does not wait for the flood to be sent."""
    async with receiving() as flooded:
        await world.webhook("alice", flooded, per_minute=6)
        await world.webhook("bob", receiver)
        storm = [a_page(["alice"], severity="HIGH") for _ in range(1_000)]
        flood = asyncio.ensure_future(world.notify.pages.Page(page_service_pb2.PageRequest(pages=storm)))
        for _ in range(5):
            page = await world.page("bob")
            await world.becomes(page, "SENT", timeout=15)
        await flood
        waits = (
            "select 1 from route_logs where responder_id = 'alice' and status = 'PENDING' and attempts > 0"
        )
        await eventually(lambda: world.sql(waits) == [], timeout=20)
    assert len(flooded.hooks) <= 7
    assert {hook.data["responder_id"] for hook in receiver.hooks} == {"bob"}


async def test_limits_have_bounds(world: World, receiver: Receiver) -> None:
    with pytest.raises(Invalid) as caught:
        await world.webhook("alice", receiver, bundle_window=timedelta(hours=2), per_minute=-1)
    assert {field.path for field in caught.value.fields} == {"bundle_window", "per_minute"}
