"""Events that could not be handled are listed, and handled again when what was wrong is mended."""

from uuid import UUID

import pytest

from chassis.errors import Denied, Invalid
from tests.fixtures.eventually import eventually
from tests.service.sla.world import World
from tests.unit.sla.histories import History, received
from tocsin.messaging.v1.messaging_pb2 import (
    ListDeadLettersRequest,
    ReplayDeadLettersRequest,
    ReplayEventsRequest,
)
from tocsin.sla.v1.messaging_service_pb2_grpc import MessagingServiceStub


async def buried(world: World, number: int) -> MessagingServiceStub:
    """Waits for so many dead letters; the service's methods for them."""
    admin = MessagingServiceStub(await world.wire("admin"))

    async def there() -> bool:
        found = await admin.ListSlaDeadLetters(ListDeadLettersRequest())
        return len(found.dead_letters) == number

    await eventually(there)
    return admin


async def test_what_is_mended_is_handled_again(world: World) -> None:
    """Once, and in effect as if it had come then; what is still wrong stays, with what is wrong."""
    await world.run("alter table facts add constraint cursed check (title <> 'cursed')")
    cursed, other = History(title="cursed").opened(), History().opened()
    poison = received("alert.opened", b"\xff\xff", subject="x")
    await world.publish([*cursed.events, poison, *other.events])
    admin = await buried(world, 2)
    letters = (await admin.ListSlaDeadLetters(ListDeadLettersRequest())).dead_letters
    assert {UUID(letter.event_id) for letter in letters} == {poison.id, cursed.events[0].id}
    assert {letter.consumer for letter in letters} == {"sla/TOCSIN_ALERT"}
    again = await admin.ReplaySlaDeadLetters(ReplayDeadLettersRequest())
    assert (again.replayed, len(again.failed)) == (0, 2)
    await world.run("alter table facts drop constraint cursed")
    again = await admin.ReplaySlaDeadLetters(ReplayDeadLettersRequest(consumer="sla/TOCSIN_ALERT"))
    assert (again.replayed, [UUID(letter.event_id) for letter in again.failed]) == (1, [poison.id])
    assert "DecodeError" in again.failed[0].error
    assert await world.rows("select title from facts order by title") == ["cursed", "the disk is full"]
    assert await world.rows("select sum(total) from rollup_changes where dimension = 'all'") == [2]
    (left,) = (await admin.ListSlaDeadLetters(ListDeadLettersRequest())).dead_letters
    assert left.data == b"\xff\xff"
    assert left.error == again.failed[0].error


async def test_letters_are_named_and_paged(world: World) -> None:
    """Only those that are named are handled again."""
    await world.publish([received("alert.opened", b"\xff", subject=str(n)) for n in range(3)])
    admin = await buried(world, 3)
    first = await admin.ListSlaDeadLetters(ListDeadLettersRequest(page_size=2))
    rest = await admin.ListSlaDeadLetters(
        ListDeadLettersRequest(page_size=2, page_token=first.next_page_token)
    )
    assert (len(first.dead_letters), len(rest.dead_letters), rest.next_page_token) == (2, 1, "")
    named = ReplayDeadLettersRequest(event_ids=[first.dead_letters[0].event_id])
    assert len((await admin.ReplaySlaDeadLetters(named)).failed) == 1
    await world.run("update dead_letters set consumer = 'gone/TOCSIN_ALERT'")
    gone = await admin.ReplaySlaDeadLetters(ReplayDeadLettersRequest())
    assert {letter.error for letter in gone.failed} == {"nobody consumes these events any more"}


async def test_who_may_ask(world: World) -> None:
    """Administrators, for letters; services too, for events again."""
    reader = MessagingServiceStub(await world.wire("sla:read"))
    with pytest.raises(Denied):
        await reader.ListSlaDeadLetters(ListDeadLettersRequest())
    service = MessagingServiceStub(await world.wire("service"))
    assert (await service.ReplaySlaEvents(ReplayEventsRequest())).events == 0
    admin = MessagingServiceStub(await world.wire("admin"))
    with pytest.raises(Invalid, match=r"event_ids\[0\]"):
        await admin.ReplaySlaDeadLetters(ReplayDeadLettersRequest(event_ids=["x"]))
