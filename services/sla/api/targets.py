"""Targets, their budgets and their breaches."""

from datetime import datetime
from uuid import UUID

from google.protobuf.empty_pb2 import Empty

from chassis import paging, validation, wire
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, Exhausted, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from services.sla.convert import targets as convert
from services.sla.promises import Promises
from services.sla.storage import promises as storage
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

MOST = 500
"""Targets: each is held against every alert."""


class TargetApi(sla_service_pb2_grpc.SlaServiceServicer):
    """What alerts must meet, and how well they do."""

    def __init__(self, db: Database, clock: Clock, promises: Promises) -> None:
        self._db = db
        self._clock = clock
        self._promises = promises

    async def CreateSlaTarget(
        self, request: sla_service_pb2.CreateSlaTargetRequest, _: Context
    ) -> sla_pb2.SlaTarget:
        target = convert.new(request, self._clock.now())
        async with audited(self._db) as conn:
            made = await storage.of_request(conn, request.request_id)
            if made is None and await storage.count(conn) >= MOST:
                raise Exhausted(f"there are {MOST} targets already", reason="TOO_MANY_TARGETS")
            if made is None and not await storage.add(conn, target, request.request_id):
                made = await storage.of_request(conn, request.request_id)
                if made is None:
                    raise AlreadyExists.field("target_id", f"the target {target.target_id!r} exists already")
        await self._promises.changed()
        return convert.target_message(made or target)

    async def ListSlaTargets(
        self, request: sla_service_pb2.ListSlaTargetsRequest, _: Context
    ) -> sla_service_pb2.ListSlaTargetsResponse:
        size = paging.size(request.page_size)
        [after] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await storage.page(conn, after, size + 1)
        shown, token = paging.page(found, size, [found[:size][-1].target_id if found else ""])
        return sla_service_pb2.ListSlaTargetsResponse(
            targets=map(convert.target_message, shown), next_page_token=token
        )

    async def DeleteSlaTarget(self, request: sla_service_pb2.DeleteSlaTargetRequest, _: Context) -> Empty:
        async with audited(self._db) as conn:
            if not await storage.remove(conn, request.target_id):
                raise _unknown(request.target_id)
        await self._promises.changed()
        return Empty()

    async def GetSlaBudget(
        self, request: sla_service_pb2.GetSlaBudgetRequest, _: Context
    ) -> sla_pb2.SlaBudget:
        now = self._clock.now()
        async with self._db.connect() as conn:
            target = await storage.find(conn, request.target_id)
            if target is None:
                raise _unknown(request.target_id)
            tallies = await storage.tally(conn, target.target_id, [target.window, *convert.BURNING], now)
        return convert.budget_message(target, tallies, now)

    async def ListSlaBreaches(
        self, request: sla_service_pb2.ListSlaBreachesRequest, _: Context
    ) -> sla_service_pb2.ListSlaBreachesResponse:
        problems, size = Problems(), paging.size(request.page_size)
        start, end = wire.instant(request, "start"), wire.instant(request, "end")
        validation.text(problems, "target_id", request.target_id, most=63)
        if start and end and end <= start:
            problems.add("end", "is not after start")
        problems.check()
        key = paging.after(request.page_token, 4)
        after = (datetime.fromisoformat(key[0]), UUID(key[1]), key[2], key[3]) if key else None
        async with self._db.connect() as conn:
            found = await storage.breaches(
                conn, target_id=request.target_id, start=start, end=end, after=after, limit=size + 1
            )
        last = found[:size][-1] if found else None
        ends = [str(last.breached_at), str(last.alert_id), last.target_id, last.kind] if last else []
        shown, token = paging.page(found, size, ends)
        return sla_service_pb2.ListSlaBreachesResponse(
            breaches=map(convert.breach_message, shown), next_page_token=token
        )


def _unknown(target_id: str) -> NotFound:
    return NotFound(f"the target {target_id[:64]!r} does not exist", reason="UNKNOWN_TARGET")
