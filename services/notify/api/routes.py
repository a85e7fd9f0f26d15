"""RouteService: the delivery trail, and the receipts that move it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from google.api import httpbody_pb2

from chassis import auth, paging, validation, wire
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Denied, DomainError, Invalid, NotFound, Problems, Unauthenticated
from chassis.ids import parse_uuid, uuid7
from chassis.server import Context
from services.notify import convert
from services.notify.api.receipts import Receipts, Report
from services.notify.clients import Escalation
from services.notify.domain.export import FORMATS
from services.notify.domain.link import LinkProblem, Links
from services.notify.domain.receipt import REPORTED
from services.notify.domain.route import Receipt, Status
from services.notify.storage import receipts, routes
from services.notify.storage.routes import Filter
from tocsin.notify.v1 import route_pb2, route_service_pb2, route_service_pb2_grpc

SCOPE = "receipts:write"
LONGEST_ID, LONGEST_DETAIL = 128, 4_096
CSV, PIECE = "csv", 200
"""The format of an export that asks for none, and how many lines are made at once: the pages must not wait for it."""
_PROBLEMS = {
    LinkProblem.INVALID: "the link is not a receipt link of this route log",
    LinkProblem.EXPIRED: "the receipt link has expired",
}


class RouteApi(route_service_pb2_grpc.RouteServiceServicer):
    """Reads the trail and takes receipts."""

    def __init__(
        self, *, db: Database, clock: Clock, receipts: Receipts, links: Links, escalation: Escalation
    ) -> None:
        self._db = db
        self._clock = clock
        self._receipts = receipts
        self._links = links
        self._escalation = escalation

    async def GetRoute(self, request: route_service_pb2.GetRouteRequest, _: Context) -> route_pb2.RouteLog:
        """One route log with its receipts."""
        route_log_id = parse_uuid(request.route_log_id, "route_log_id")
        async with self._db.connect() as conn:
            found = await routes.get(conn, [route_log_id])
            heard = await receipts.of_routes(conn, [route_log_id])
        if not found:
            raise NotFound(f"there is no route log {route_log_id}")
        return convert.route_log(found[0], heard.get(route_log_id, ()))

    async def ListRoutes(
        self, request: route_service_pb2.ListRoutesRequest, _: Context
    ) -> route_service_pb2.ListRoutesResponse:
        """One page of route logs, the newest first."""
        wanted = replace(_filter(request, Problems()), skipped_too=request.show_skipped)
        limit = paging.size(request.page_size)
        before = _before(request.page_token)
        async with self._db.connect() as conn:
            found = await routes.find(conn, wanted, before=before, limit=limit + 1)
            heard = await receipts.of_routes(conn, [route.route_log_id for route in found[:limit]])
        key = (
            (found[limit - 1].created_at.isoformat(), str(found[limit - 1].route_log_id))
            if len(found) > limit
            else ()
        )
        shown, token = paging.page(found, limit, key)
        return route_service_pb2.ListRoutesResponse(
            routes=[convert.route_log(route, heard.get(route.route_log_id, ())) for route in shown],
            next_page_token=token,
        )

    async def ExportRoutes(
        self, request: route_service_pb2.ExportRoutesRequest, _: Context
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        """The trail piece by piece; no transaction is open while a piece is sent."""
        problems = Problems()
        if (request.format or CSV) not in FORMATS:
            problems.add("format", f"{request.format[:20]!r} is not a format; want {' or '.join(FORMATS)}")
        wanted = replace(_filter(request, problems), skipped_too=True)
        media, head, lines = FORMATS[request.format or CSV]
        yield httpbody_pb2.HttpBody(content_type=media, data=head)
        before: tuple[datetime, UUID] | None = None
        while True:
            async with self._db.connect() as conn:
                found = await routes.find(conn, wanted, before=before, limit=PIECE)
                heard = await receipts.of_routes(conn, [route.route_log_id for route in found])
            if found:
                data = lines((route, heard.get(route.route_log_id, ())) for route in found)
                yield httpbody_pb2.HttpBody(content_type=media, data=data)
                before = found[-1].created_at, found[-1].route_log_id
            if len(found) < PIECE:
                return

    async def RecordReceipt(
        self, request: route_service_pb2.RecordReceiptRequest, _: Context
    ) -> route_pb2.RouteLog:
        """The route log after the receipt; the method is open, so the caller is checked here."""
        route_log_id = self._admitted(request)
        by_link = not auth.caller().has(SCOPE)
        recorded = await self._receipts.record(Report(self._receipt(request, route_log_id), by_link=by_link))
        acknowledges = request.status == route_pb2.RouteLog.ACKNOWLEDGED
        if by_link and acknowledges and not recorded.route.taken_by:
            return await self._with_holder(recorded.route)
        return recorded.route

    async def _with_holder(self, route: route_pb2.RouteLog) -> route_pb2.RouteLog:
        """What a person is to be told who comes too late or once more, as far as escalation can say it now."""
        told = route_pb2.RouteLog()
        told.CopyFrom(route)
        try:
            holder = await self._escalation.holder(route.alert_id)
        except DomainError:  # the receipt is recorded all the same
            return told
        told.taken_by, told.closed_by = holder.taken_by, holder.closed_by
        told.open_again = holder.open_again
        return told

    def _admitted(self, request: route_service_pb2.RecordReceiptRequest) -> UUID:
        """The route log that the caller may report on: any with the scope, else the link's alone."""
        caller = auth.caller()
        if not caller.has(SCOPE) and not request.link_token:
            if caller is auth.ANONYMOUS:
                raise Unauthenticated("want a bearer token or the token of a receipt link")
            raise Denied(f"the token lacks the scope {SCOPE!r}", reason="SCOPE_REQUIRED")
        route_log_id = parse_uuid(request.route_log_id, "route_log_id")
        if not caller.has(SCOPE):
            problem = self._links.problem(request.link_token, route_log_id, self._clock.now())
            if problem is not None:
                raise Denied(_PROBLEMS[problem], reason=problem)
        return route_log_id

    def _receipt(self, request: route_service_pb2.RecordReceiptRequest, route_log_id: UUID) -> Receipt:
        problems, now = Problems(), self._clock.now()
        status = convert.status(request.status, "status", problems)
        if status not in REPORTED and not problems.found:
            problems.add("status", f"want one of {', '.join(REPORTED)}")
        validation.text(problems, "receipt_id", request.receipt_id, most=LONGEST_ID)
        validation.text(problems, "detail", request.detail, most=LONGEST_DETAIL)
        at = wire.instant(request, "at") or now
        if not validation.EARLIEST <= at < validation.LATEST:
            problems.add("at", "is out of range; want a time between 1970 and 2200")
        problems.check()
        return Receipt(
            route_log_id=route_log_id,
            receipt_id=request.receipt_id or str(uuid7()),
            status=status or Status.DELIVERED,
            detail=request.detail,
            at=at,
            recorded_at=now,
        )


def _filter(
    request: route_service_pb2.ListRoutesRequest | route_service_pb2.ExportRoutesRequest, problems: Problems
) -> Filter:
    statuses = [convert.status(value, f"status[{n}]", problems) for n, value in enumerate(request.status)]
    channel = convert.channel(request.channel, "channel", problems)
    problems.check()
    return Filter(
        alert_id=parse_uuid(request.alert_id, "alert_id") if request.alert_id else None,
        responder_id=request.responder_id,
        channel=channel,
        statuses=tuple(status for status in statuses if status is not None),
        execution_id=parse_uuid(request.execution_id, "execution_id") if request.execution_id else None,
        start=wire.instant(request, "start"),
        end=wire.instant(request, "end"),
    )


def _before(token: str) -> tuple[datetime, UUID] | None:
    key = paging.after(token, 2)
    if key is None:
        return None
    try:
        return datetime.fromisoformat(key[0]), UUID(key[1])
    except ValueError:
        raise Invalid.field("page_token", "is not a token of this list") from None
