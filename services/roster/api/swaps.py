"""The gRPC methods of SwapService."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import auth, outbox, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import NotFound, Problems
from chassis.ids import parse_uuid, uuid7
from chassis.outbox import Event
from chassis.server import Context
from identity.audit import audited
from services.roster.api import references
from services.roster.convert import events
from services.roster.convert import swaps as convert
from services.roster.convert.shifts import age
from services.roster.domain import swap as rules
from services.roster.domain.shift import Filter, Override
from services.roster.domain.swap import By, Swap
from services.roster.memory import Memory
from services.roster.storage import overrides, schedules, swaps
from tocsin.roster.v1 import swap_pb2, swap_service_pb2, swap_service_pb2_grpc


class SwapApi(swap_service_pb2_grpc.SwapServiceServicer):
    """Swaps between two people."""

    def __init__(self, db: Database, memory: Memory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock

    async def CreateSwap(self, request: swap_service_pb2.CreateSwapRequest, _: Context) -> swap_pb2.Swap:
        """Asks for a swap, or answers the one that the same request asked for before."""
        now, problems = self._clock.now(), Problems()
        swap = convert.new(request, auth.actor(request.swap.asker_id), now, problems)
        async with audited(self._db) as conn:
            made = await swaps.of_request(conn, request.request_id)
            if made is not None:
                return convert.to_wire(made)
            people = {"asker_id": swap.asker_id, "taker_id": swap.taker_id or ""}
            await references.check_people(conn, people, problems)
            await references.check_schedule(conn, swap.schedule_id, problems)
            problems.check()
            if not await swaps.add(conn, swap, request.request_id):
                made = await swaps.of_request(conn, request.request_id)
                assert made is not None  # nothing but the request id can be taken
                return convert.to_wire(made)
            created = events.changed("swap", str(swap.swap_id), "created", now, schedule_id=swap.schedule_id)
            await outbox.append(conn, [created])
        await self._memory.changed()
        return convert.to_wire(swap)

    async def GetSwap(self, request: swap_service_pb2.GetSwapRequest, _: Context) -> swap_pb2.Swap:
        """Reads one swap."""
        swap_id = parse_uuid(request.swap_id, "swap_id")
        async with self._db.connect() as conn:
            swap = await swaps.find(conn, swap_id)
        if swap is None:
            raise _unknown(request.swap_id)
        return convert.to_wire(swap)

    async def ListSwaps(
        self, request: swap_service_pb2.ListSwapsRequest, _: Context
    ) -> swap_service_pb2.ListSwapsResponse:
        """Lists swaps, the newest first."""
        size = paging.size(request.page_size)
        only, state = Filter(request.schedule_id, request.responder_id), convert.state(request.state)
        after = age(paging.after(request.page_token, 2))
        async with self._db.connect() as conn:
            found = await swaps.page(conn, only, state, after, size + 1)
        page, token = paging.page(found, size, convert.page_key(found[:size]))
        return swap_service_pb2.ListSwapsResponse(
            swaps=[convert.to_wire(swap) for swap in page], next_page_token=token
        )

    async def OfferSwap(self, request: swap_service_pb2.OfferSwapRequest, _: Context) -> swap_pb2.Swap:
        """Offers to take a swap that asks everybody."""
        return await self._move(request.swap_id, request.actor, rules.offer, joins=True)

    async def AcceptSwap(self, request: swap_service_pb2.AcceptSwapRequest, _: Context) -> swap_pb2.Swap:
        """Accepts a swap, or an offer to take it."""
        override_ids = uuid7(), uuid7()

        def accept(swap: Swap, by: By, now: datetime) -> Swap:
            return rules.accept(swap, by, now, override_ids)

        return await self._move(request.swap_id, request.actor, accept)

    async def DeclineSwap(self, request: swap_service_pb2.DeclineSwapRequest, _: Context) -> swap_pb2.Swap:
        """Declines a swap, or an offer to take it."""
        return await self._move(request.swap_id, request.actor, rules.decline)

    async def CancelSwap(self, request: swap_service_pb2.CancelSwapRequest, _: Context) -> swap_pb2.Swap:
        """Withdraws a swap."""
        return await self._move(request.swap_id, request.actor, rules.cancel)

    async def UndoSwap(self, request: swap_service_pb2.UndoSwapRequest, _: Context) -> swap_pb2.Swap:
        """Takes an agreement back."""
        return await self._move(request.swap_id, request.actor, rules.undo)

    async def _move(
        self, swap_id: str, actor: str, verb: Callable[[Swap, By, datetime], Swap], *, joins: bool = False
    ) -> swap_pb2.Swap:
        """Applies a verb and what follows from it; `joins` when it makes the actor a party, who must exist."""
        key, now, problems = parse_uuid(swap_id, "swap_id"), self._clock.now(), Problems()
        by = By(auth.actor(actor), auth.caller().has(auth.ADMIN))
        async with audited(self._db) as conn:
            before = await swaps.find(conn, key, lock=True)
            if before is None:
                raise _unknown(swap_id)
            after = verb(before, by, now)
            if joins:
                await references.check_people(conn, {"actor": by.responder_id}, problems)
                problems.check()
            await swaps.change(conn, after)
            told = await _carry_out(conn, before, after, now)
            moved = events.changed("swap", str(key), "updated", now, schedule_id=after.schedule_id)
            await outbox.append(conn, [moved, *told])
        await self._memory.changed()
        return convert.to_wire(after)


async def _carry_out(conn: AsyncConnection, before: Swap, after: Swap, now: datetime) -> list[Event]:
    """Makes the overrides of an agreement, or takes them back; the events that tell of it."""
    made = rules.agreed(after)
    for override in made:
        await overrides.add(conn, override, "")
    # Somebody may have deleted one meanwhile.
    gone = [one for one in rules.agreed(before) if await overrides.remove(conn, one.override_id)]
    told = [_changed(override, "created", now) for override in made]
    told += [_changed(override, "deleted", now) for override in gone]
    if told:
        await schedules.touch(conn, after.schedule_id, now)
    return told


def _changed(override: Override, change: Literal["created", "deleted"], now: datetime) -> Event:
    return events.changed(
        "override", str(override.override_id), change, now, schedule_id=override.schedule_id
    )


def _unknown(swap_id: str) -> NotFound:
    return NotFound(f"the swap {swap_id[:64]!r} does not exist", reason="UNKNOWN_SWAP")
