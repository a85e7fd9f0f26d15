"""Who cannot be reached is known before the page, and counted."""

from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from chassis.errors import Unavailable
from tests.fixtures.eventually import eventually
from tests.service.notify.receivers import Receiver, status
from tests.service.notify.test_contact_methods import create
from tests.service.notify.world import World
from tocsin.notify.v1 import contact_method_pb2, contact_method_service_pb2

CHAT = contact_method_pb2.Channel.CHAT
REASON = contact_method_pb2.UnreachableResponder.Reason


async def unreachable(world: World, **values: Any) -> contact_method_service_pb2.ListUnreachableResponse:
    return await world.notify.methods.ListUnreachable(
        contact_method_service_pb2.ListUnreachableRequest(**values)
    )


async def reasons(world: World) -> dict[str, str]:
    found = await unreachable(world)
    return {one.responder_id: REASON.Name(one.reason) for one in found.unreachable_responders}


async def test_everyone_of_rosters_without_a_way_that_works(world: World, receiver: Receiver) -> None:
    world.escalation.roster.people = ["ada", "bob", "carol", "dan", "eve"]
    await create(world, responder_id="bob", enabled=False)
    await create(
        world, responder_id="carol", channel=CHAT, address="tgram://123456789:abcdefg_hijklmnop/12315544/"
    )
    broken = await world.webhook("dan", receiver, path="/dan")
    await world.webhook("eve", receiver, path="/eve")
    receiver.script = [status(410)]
    await world.becomes(await world.page("dan"), "FAILED")
    await world.notify.methods.UpdateContactMethod(
        contact_method_service_pb2.UpdateContactMethodRequest(
            contact_method=contact_method_pb2.ContactMethod(
                contact_method_id=broken.contact_method_id, enabled=True
            )
        )
    )
    assert await reasons(world) == {
        "ada": "NO_METHOD",
        "bob": "DISABLED",
        "carol": "UNVERIFIED",
        "dan": "FAILING",
    }
    await world.becomes(await world.page("dan"), "SENT")
    assert "dan" not in await reasons(world), "the latest page got through"


async def test_a_failure_of_the_day_before_is_forgotten(world: World, receiver: Receiver) -> None:
    world.escalation.roster.people = ["dan"]
    made = await world.webhook("dan", receiver)
    receiver.script = [status(410)]
    await world.becomes(await world.page("dan"), "FAILED")
    world.sql("update contact_methods set enabled = true")
    assert await reasons(world) == {"dan": "FAILING"}
    world.sql("update route_logs set created_at = created_at - interval '25 hours'")
    assert await reasons(world) == {}, made


async def test_pages_of_the_list_and_its_names(world: World) -> None:
    world.escalation.roster.people = ["ada", "bob", "carol"]
    first = await unreachable(world, page_size=2)
    second = await unreachable(world, page_size=2, page_token=first.next_page_token)
    names = [one.display_name for page in (first, second) for one in page.unreachable_responders]
    assert names == ["Ada", "Bob", "Carol"]
    assert second.next_page_token == ""


async def test_while_roster_is_away_it_cannot_be_said(world: World) -> None:
    world.escalation.roster.trouble = Unavailable("roster is away")
    with pytest.raises(Unavailable):
        await unreachable(world)


async def test_they_are_counted(world: World) -> None:
    world.escalation.roster.people = ["ada", "bob"]
    await world.stop()
    await world.start()

    def counted() -> bool | None:
        value = REGISTRY.get_sample_value("tocsin_unreachable_responders", {"reason": "NO_METHOD"})
        return True if value == 2 else None

    await eventually(counted, timedelta(seconds=5).total_seconds())
