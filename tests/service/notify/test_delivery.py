"""Pages reach people: the inbox at once, webhooks signed, each once, however often they are asked for."""

import asyncio
from datetime import timedelta
from functools import partial

import pytest

from chassis.errors import Invalid
from services.notify.deliverer.allowance import HOST
from services.notify.domain.contact_method import Severity
from tests.fixtures.eventually import eventually
from tests.service.notify import receivers
from tests.service.notify.receivers import Receiver, receiving, status
from tests.service.notify.world import IN_APP, World, a_page
from tocsin.notify.v1 import contact_method_service_pb2, page_service_pb2


async def test_a_page_reaches_the_inbox_and_the_webhook(world: World, receiver: Receiver) -> None:
    method = await world.webhook("alice", receiver)
    page = await world.page("alice", level=2)
    (hook,) = await receiver.got()
    route = await world.becomes(page, "SENT")
    assert hook.id == route.route_log_id
    assert hook.signed_with(method.secret)
    assert hook.data["alert"]["title"] == "disk full"
    assert hook.data["alert"]["severity"] == "CRITICAL"
    assert hook.data["alert"]["labels"] == {"host": "db-1"}
    assert hook.data["alert"]["closed_at"] is None
    assert hook.data["alert"]["acked_by"] == ""
    assert (hook.data["reason"], hook.data["level"]) == ("INITIAL", 2)
    assert (hook.data["responder_id"], hook.data["route_log_id"]) == ("alice", route.route_log_id)
    assert hook.data["receipt_url"].startswith(
        f"https://tocsin.example/api/alert/routes/{route.route_log_id}:receipt?token="
    )
    assert route.contact_method_id == method.contact_method_id
    assert (await world.becomes(page, "SENT", channel=IN_APP)).attempts == 1
    assert [kind for kind, _ in world.events()] == ["notification.sent", "notification.sent"]
    assert {e.route_log.channel for _, e in world.events()} == {IN_APP, route.channel}


async def test_everyone_is_told_and_nobody_else(world: World) -> None:
    async with receiving() as hers, receiving() as his:
        await world.webhook("alice", hers)
        await world.webhook("bob", his)
        page = await world.page("alice", "carol")
        await world.becomes(page, "SENT")
        assert len(await world.routes(page, IN_APP)) == 2
        assert len(hers.hooks) == 1
        assert his.hooks == []


async def test_nobody_to_tell_is_accepted(world: World) -> None:
    page = await world.page()
    assert await world.routes(page, 0) == []


async def test_the_same_step_again_changes_nothing(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    page = a_page(["alice"])
    request = page_service_pb2.PageRequest(pages=[page, page])
    answers = await asyncio.gather(*(world.notify.pages.Page(request) for _ in range(10)))
    assert all(a.execution_ids == [page.execution.execution_id] * 2 for a in answers)
    await world.becomes(page, "SENT")
    await world.notify.pages.Page(request)
    assert len(await world.routes(page, 0)) == 2
    assert len(receiver.hooks) == 1
    assert len(world.events("notification.sent")) == 2


async def test_a_large_batch_is_accepted_whole(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    pages = [a_page(["alice", "bob"]) for _ in range(300)]
    answer = await world.notify.pages.Page(page_service_pb2.PageRequest(pages=pages))
    assert len(answer.execution_ids) == 300
    hooks = await receiver.got(300)
    assert len({hook.id for hook in hooks}) == len(hooks) == 300
    assert world.sql("select last_position from inboxes order by 1") == [(300,), (300,)]


async def test_a_page_that_is_wrong_names_every_field(world: World) -> None:
    page = a_page(["Alice!"], alert_id="not-a-uuid", execution_id="neither")
    page.execution.alert_id = "another"
    with pytest.raises(Invalid) as caught:
        await world.notify.pages.Page(page_service_pb2.PageRequest(pages=[page]))
    assert {field.path for field in caught.value.fields} == {
        "pages[0].execution.execution_id",
        "pages[0].alert.alert_id",
        "pages[0].execution.alert_id",
        "pages[0].execution.recipients[0]",
    }
    with pytest.raises(Invalid):
        await world.notify.pages.Page(page_service_pb2.PageRequest())


async def test_only_bad_enough_alerts_are_sent_by_a_method(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver, min_severity=list(Severity).index(Severity.HIGH) + 1)
    quiet = await world.page("alice", severity="MEDIUM")
    loud = await world.page("alice", severity="HIGH")
    await world.becomes(loud, "SENT")
    assert await world.routes(quiet) == []
    assert len(await world.routes(quiet, IN_APP)) == 1


async def test_a_method_with_a_delay_waits(world: World, receiver: Receiver) -> None:
    method = await world.webhook("alice", receiver, delay=timedelta(minutes=3))
    assert method.delay.seconds == 180
    page = await world.page("alice")
    route = await world.becomes(page, "PENDING")
    assert route.next_attempt_at.ToDatetime() - route.created_at.ToDatetime() == timedelta(minutes=3)
    assert receiver.hooks == []
    world.clock.advance(timedelta(minutes=3))
    assert (await world.becomes(page, "SENT")).attempts == 1


async def test_a_failure_is_tried_again_with_the_same_id(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    later = "retry-after: 60"  # long enough to see what was wrong
    receiver.script = [status(500, later, body=b"no disk"), status(404, later), receivers.reset]
    page = await world.page("alice")
    await receiver.got(1)

    for error in ("HTTP 500", "HTTP 404"):
        failed = f"select 1 from route_logs where starts_with(last_error, '{error}')"
        await eventually(partial(world.sql, failed))
        world.clock.advance(timedelta(seconds=61))
    route = await world.becomes(page, "SENT")
    assert route.attempts == 4
    assert route.last_error == ""
    assert {hook.id for hook in receiver.hooks} == {route.route_log_id}
    assert len({hook.headers["webhook-signature"] for hook in receiver.hooks}) > 1
    assert len(world.events("notification.sent")) == 2


async def test_retry_after_is_honoured(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    receiver.script = [status(429, "retry-after: 300")]
    page = await world.page("alice")

    async def waits() -> bool:
        (route,) = await world.routes(page)
        return bool(route.last_error)

    await eventually(waits)
    (route,) = await world.routes(page)
    assert route.next_attempt_at.ToDatetime() - route.created_at.ToDatetime() >= timedelta(minutes=5)
    world.clock.advance(timedelta(minutes=5, seconds=1))
    await world.becomes(page, "SENT")


async def test_410_disables_the_method_and_exhausts_the_person(world: World, receiver: Receiver) -> None:
    method = await world.webhook("alice", receiver)
    receiver.always = status(410)
    page = await world.page("alice")
    route = await world.becomes(page, "FAILED")
    assert route.last_error == "HTTP 410"
    found = await world.notify.methods.GetContactMethod(
        contact_method_service_pb2.GetContactMethodRequest(contact_method_id=method.contact_method_id)
    )
    assert not found.enabled
    assert found.disabled_reason == "HTTP 410"
    await eventually(lambda: world.events("notification.exhausted"))
    assert [kind for kind, _ in world.events()][-2:] == ["notification.failed", "notification.exhausted"]
    assert await world.routes(await world.page("alice")) == [], "it is not used any more"


async def test_trying_ends_after_24_hours(world: World, receiver: Receiver) -> None:
    await world.webhook("alice", receiver)
    receiver.always = status(500, "retry-after: 300")
    page = await world.page("alice")
    await receiver.got(1)
    await eventually(lambda: world.sql("select 1 from route_logs where last_error <> ''"))
    world.clock.advance(timedelta(hours=24))
    route = await world.becomes(page, "FAILED")
    assert route.last_error.startswith("given up after 1 attempts: HTTP 500")
    assert len(receiver.hooks) == 1


async def test_a_deleted_method_cancels_what_waits(world: World, receiver: Receiver) -> None:
    method = await world.webhook("alice", receiver, delay=timedelta(minutes=1))
    page = await world.page("alice")
    await world.notify.methods.DeleteContactMethod(
        contact_method_service_pb2.DeleteContactMethodRequest(contact_method_id=method.contact_method_id)
    )
    assert (await world.becomes(page, "CANCELLED")).last_error == "the contact method was deleted"
    world.clock.advance(timedelta(minutes=2))
    after = await world.page("alice")
    assert await world.routes(after) == []
    assert receiver.hooks == []


async def test_one_that_hangs_does_not_hold_up_the_others(world: World, receiver: Receiver) -> None:
    await world.stop()
    await world.start(webhooks=world.patient_webhooks())
    async with receiving() as hanging:
        hanging.always = receivers.hang
        await world.webhook("alice", hanging)
        await world.webhook("bob", receiver)
        pages = [a_page(["alice"]) for _ in range(200)]
        await world.notify.pages.Page(page_service_pb2.PageRequest(pages=pages))
        await hanging.got(4)
        for _ in range(20):
            await world.page("bob")
        await receiver.got(20)
        assert hanging.most_at_once == 4


async def test_a_dead_host_with_many_endpoints_does_not_hold_up_the_others(
    world: World, receiver: Receiver
) -> None:
    await world.stop()
    await world.start(webhooks=world.patient_webhooks())
    async with receiving() as dead:
        dead.always = receivers.hang
        people = [f"person-{n}" for n in range(100)]
        for person in people:
            await world.webhook(person, dead, path=f"/{person}")
        await world.webhook("bob", receiver)
        pages = [a_page(people) for _ in range(8)]
        await world.notify.pages.Page(page_service_pb2.PageRequest(pages=pages))
        await dead.got(1)
        for _ in range(5):
            await world.page("bob")
        await receiver.got(5)
        assert dead.most_at_once <= HOST.first
