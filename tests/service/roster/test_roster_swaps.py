"""Swaps: asked, offered, accepted, declined, cancelled, undone; by the two who swap alone."""

import asyncio
from datetime import datetime, timedelta

import pytest

from chassis.errors import Conflict, Denied, Invalid, NotFound, Refused
from chassis.wire import timestamp
from tests.service.roster.world import HOUR, Replica, World, rotating
from tocsin.roster.v1 import (
    responder_service_pb2,
    shift_service_pb2,
    swap_pb2,
    swap_service_pb2,
)

DAY = timedelta(days=1)
State = swap_pb2.Swap


class People:
    """Ada, Bob and Cyd, who take daily turns on `web` from `start` on, an hour ago."""

    def __init__(self, world: World, ada: Replica, bob: Replica, cyd: Replica) -> None:
        self.world = world
        self.ada, self.bob, self.cyd = ada, bob, cyd
        self.start = (world.now - HOUR).replace(second=0, microsecond=0)

    async def ask(
        self,
        *,
        of: str = "bob",
        start: datetime | None = None,
        back: datetime | None = None,
        request_id: str = "",
    ) -> swap_pb2.Swap:
        """Ada asks for twelve hours of her turn to be taken, in exchange for twelve hours or not."""
        start = start or self.start
        swap = swap_pb2.Swap(
            schedule_id="web",
            taker_id=of,
            starts_at=timestamp(start),
            ends_at=timestamp(start + 12 * HOUR),
            return_starts_at=timestamp(back),
            return_ends_at=timestamp(back + 12 * HOUR if back else None),
            note="please",
        )
        return await self.ada.swaps.CreateSwap(
            swap_service_pb2.CreateSwapRequest(swap=swap, request_id=request_id)
        )

    async def on_call(self, *hours: int) -> list[str]:
        """Who is on call so many hours after the start."""
        return ["+".join(await self.ada.resolve("oncall://web", self.start + n * HOUR)) for n in hours]


async def gather(world: World) -> People:
    """The people, each with a token of their own."""
    await world.people("ada", "bob", "cyd")
    people = People(world, *[await world.caller(name) for name in ("ada", "bob", "cyd")])
    start = people.start.strftime("%Y-%m-%dT%H:%M")
    await world.schedule("web", rotating("ada", "bob", "cyd", start=start))
    return people


async def accept(by: Replica, swap: swap_pb2.Swap, actor: str = "") -> swap_pb2.Swap:
    """Accepts."""
    return await by.swaps.AcceptSwap(swap_service_pb2.AcceptSwapRequest(swap_id=swap.swap_id, actor=actor))


async def offer(by: Replica, swap: swap_pb2.Swap) -> swap_pb2.Swap:
    """Offers to take it."""
    return await by.swaps.OfferSwap(swap_service_pb2.OfferSwapRequest(swap_id=swap.swap_id))


async def decline(by: Replica, swap: swap_pb2.Swap) -> swap_pb2.Swap:
    """Declines."""
    return await by.swaps.DeclineSwap(swap_service_pb2.DeclineSwapRequest(swap_id=swap.swap_id))


async def cancel(by: Replica, swap: swap_pb2.Swap) -> swap_pb2.Swap:
    """Withdraws."""
    return await by.swaps.CancelSwap(swap_service_pb2.CancelSwapRequest(swap_id=swap.swap_id))


async def undo(by: Replica, swap: swap_pb2.Swap) -> swap_pb2.Swap:
    """Takes back."""
    return await by.swaps.UndoSwap(swap_service_pb2.UndoSwapRequest(swap_id=swap.swap_id))


async def test_an_exchange_is_in_force_until_it_is_undone(world: World) -> None:
    people = await gather(world)
    asked = await people.ask(back=people.start + DAY)
    assert (asked.asker_id, asked.taker_id, asked.state) == ("ada", "bob", State.ASKED)
    assert await people.on_call(2, 14, 26, 38) == ["ada", "ada", "bob", "bob"]
    accepted = await accept(people.bob, asked)
    assert accepted.state == State.ACCEPTED
    assert await people.on_call(2, 14, 26, 38) == ["bob", "ada", "ada", "bob"]
    listed = await world.roster.shifts.ListOverrides(shift_service_pb2.ListOverridesRequest())
    assert {override.override_id for override in listed.overrides} == {
        accepted.override_id,
        accepted.return_override_id,
    }
    undone = await undo(people.ada, asked)
    assert (undone.state, undone.override_id, undone.return_override_id) == (State.UNDONE, "", "")
    assert await people.on_call(2, 14, 26, 38) == ["ada", "ada", "bob", "bob"]
    with pytest.raises(Refused):
        await undo(people.bob, asked)
    read = await people.cyd.swaps.GetSwap(swap_service_pb2.GetSwapRequest(swap_id=asked.swap_id))
    assert read == undone


async def test_an_agreement_hands_over_and_tells_who_changed_what(world: World) -> None:
    people = await gather(world)
    await world.events("roster.handover", 1)
    asked = await people.ask()
    await accept(people.bob, asked)
    [_, handover] = await world.events("roster.handover", 2)
    assert (list(handover.outgoing_responder_ids), list(handover.incoming_responder_ids)) == (
        ["ada"],
        ["bob"],
    )
    events = await world.events("roster.changed", 7)
    assert [(event.resource, event.change, event.actor, event.schedule_id) for event in events[4:]] == [
        ("swap", "created", "ada", "web"),
        ("swap", "updated", "bob", "web"),
        ("override", "created", "bob", "web"),
    ]
    assert events[5].resource_id == asked.swap_id


async def test_everybody_may_offer_and_the_asker_accepts(world: World) -> None:
    people = await gather(world)
    asked = await people.ask(of="")
    with pytest.raises(Refused):
        await accept(people.ada, asked)
    offered = await offer(people.cyd, asked)
    assert (offered.state, offered.taker_id) == (State.OFFERED, "cyd")
    with pytest.raises(Refused):
        await offer(people.bob, asked)
    with pytest.raises(Denied):
        await accept(people.cyd, asked)
    assert (await decline(people.ada, asked)).state == State.ASKED
    await offer(people.bob, asked)
    assert (await accept(people.ada, asked)).state == State.ACCEPTED
    assert await people.on_call(2, 14) == ["bob", "ada"]


async def test_nobody_else_moves_a_swap_but_an_admin_does(world: World) -> None:
    people = await gather(world)
    asked = await people.ask()
    for move in (accept, decline, cancel, undo):
        with pytest.raises(Denied):
            await move(people.cyd, asked)
    with pytest.raises(Denied):
        await accept(people.cyd, asked, actor="bob")
    with pytest.raises(Denied):
        await accept(people.ada, asked)
    with pytest.raises(Denied):
        await cancel(people.bob, asked)
    deputy = await world.caller("deputy", ["roster:write", "act-as"])
    with pytest.raises(Denied):
        await accept(deputy, asked)
    assert (await accept(deputy, asked, actor="bob")).state == State.ACCEPTED
    admin = await world.caller("root", ["admin"])
    assert (await undo(admin, asked)).state == State.UNDONE
    other = await people.ask()
    assert (await decline(people.bob, other)).state == State.DECLINED
    with pytest.raises(Refused):
        await cancel(people.ada, other)


async def test_every_wrong_field_of_a_swap_is_named(world: World) -> None:
    people = await gather(world)
    past = people.start - 30 * DAY
    wrong = swap_pb2.Swap(
        schedule_id="nowhere",
        taker_id="ada",
        starts_at=timestamp(past),
        ends_at=timestamp(past + HOUR),
        return_starts_at=timestamp(people.start),
    )
    with pytest.raises(Invalid) as caught:
        await people.ada.swaps.CreateSwap(swap_service_pb2.CreateSwapRequest(swap=wrong))
    assert {field.path for field in caught.value.fields} == {
        "schedule_id",
        "taker_id",
        "ends_at",
        "return_ends_at",
    }
    with pytest.raises(Invalid) as caught:
        await people.ask(of="whoever", back=people.start + 11 * HOUR)
    assert {field.path for field in caught.value.fields} == {"taker_id", "return_starts_at"}
    with pytest.raises(Denied):
        await people.bob.swaps.CreateSwap(
            swap_service_pb2.CreateSwapRequest(swap=swap_pb2.Swap(asker_id="ada"))
        )
    stranger = await world.caller("stranger")
    with pytest.raises(Invalid) as caught:
        await offer(stranger, await people.ask(of=""))
    assert [field.path for field in caught.value.fields] == ["actor"]
    unknown = swap_pb2.Swap(swap_id="00000000-0000-7000-8000-000000000000")
    with pytest.raises(NotFound):
        await accept(people.ada, unknown)


async def test_a_time_that_has_ended_is_no_longer_agreed_on(world: World) -> None:
    people = await gather(world)
    asked, other = await people.ask(), await people.ask()
    await accept(people.bob, other)
    world.advance(hours=12)
    for move, by in ((accept, people.bob), (undo, people.ada)):
        with pytest.raises(Refused):
            await move(by, asked if move is accept else other)


async def test_one_of_many_verbs_at_once_wins(world: World) -> None:
    people = await gather(world)
    asked = await people.ask()
    answers = await asyncio.gather(
        *(accept(people.bob, asked) for _ in range(4)),
        *(cancel(people.ada, asked) for _ in range(4)),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Refused"] * 7 + ["Swap"]
    listed = await world.roster.shifts.ListOverrides(shift_service_pb2.ListOverridesRequest())
    [won] = [answer for answer in answers if isinstance(answer, swap_pb2.Swap)]
    assert len(listed.overrides) == (won.state == State.ACCEPTED)


async def test_undo_takes_away_what_is_left(world: World) -> None:
    people = await gather(world)
    accepted = await accept(people.bob, await people.ask(back=people.start + DAY))
    await world.roster.shifts.DeleteOverride(
        shift_service_pb2.DeleteOverrideRequest(override_id=accepted.override_id)
    )
    assert (await undo(people.bob, accepted)).state == State.UNDONE
    listed = await world.roster.shifts.ListOverrides(shift_service_pb2.ListOverridesRequest())
    assert list(listed.overrides) == []


async def test_swaps_are_listed_the_newest_first(world: World) -> None:
    people = await gather(world)
    made = [await people.ask(of=of) for of in ("bob", "cyd", "", "bob")]
    await decline(people.cyd, made[1])
    again = [await people.ask(request_id="once") for _ in range(2)]
    assert again[0] == again[1]
    made.append(again[0])

    async def listed(request: swap_service_pb2.ListSwapsRequest) -> list[int]:
        found: list[str] = []
        while True:
            answer = await people.cyd.swaps.ListSwaps(request)
            found += [swap.swap_id for swap in answer.swaps]
            request.page_token = answer.next_page_token
            if not request.page_token:
                return [[swap.swap_id for swap in made].index(swap_id) for swap_id in found]

    ask = swap_service_pb2.ListSwapsRequest
    assert await listed(ask(page_size=2)) == [4, 3, 2, 1, 0]
    assert await listed(ask(responder_id="cyd")) == [1]
    assert await listed(ask(responder_id="ada", schedule_id="web", page_size=1)) == [4, 3, 2, 1, 0]
    assert await listed(ask(schedule_id="default")) == []
    assert await listed(ask(state=State.DECLINED)) == [1]
    assert await listed(ask(state=State.ASKED)) == [4, 3, 2, 0]
    with pytest.raises(Invalid):
        await listed(ask(page_token="nonsense"))


async def test_somebody_in_an_open_swap_cannot_be_deleted(world: World) -> None:
    people = await gather(world)
    await world.people("dan")
    asked = await people.ask(of="dan")
    delete = responder_service_pb2.DeleteResponderRequest(responder_id="dan")
    with pytest.raises(Conflict, match="swaps"):
        await world.roster.responders.DeleteResponder(delete)
    await cancel(people.ada, asked)
    await world.roster.responders.DeleteResponder(delete)
    with pytest.raises(NotFound):
        await cancel(people.ada, asked)
