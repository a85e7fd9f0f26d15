"""InboxService: the inbox that everyone has without asking."""

from collections.abc import AsyncIterator

from chassis import paging, validation
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Invalid, NotFound, Problems
from chassis.ids import parse_uuid
from chassis.server import Context
from services.notify import convert
from services.notify.api.feed import Feed
from services.notify.api.receipts import Receipts, Report
from services.notify.domain.route import Receipt, Status
from services.notify.storage import inbox
from tocsin.notify.v1 import inbox_service_pb2, inbox_service_pb2_grpc

READ_HERE = "inbox"
"""The receipt id of what was read in the inbox itself."""


class InboxApi(inbox_service_pb2_grpc.InboxServiceServicer):
    """Lists, marks and streams inbox items."""

    def __init__(self, *, db: Database, clock: Clock, receipts: Receipts, feed: Feed) -> None:
        self._db = db
        self._clock = clock
        self._receipts = receipts
        self._feed = feed

    async def ListInbox(
        self, request: inbox_service_pb2.ListInboxRequest, _: Context
    ) -> inbox_service_pb2.ListInboxResponse:
        """One page of an inbox, the newest first."""
        _check(request.responder_id)
        limit, key = paging.size(request.page_size), paging.after(request.page_token, 1)
        before = _position(key[0], "page_token") if key else None
        async with self._db.connect() as conn:
            found = await inbox.find(
                conn, request.responder_id, unread_only=request.unread_only, before=before, limit=limit + 1
            )
        last = [str(found[limit - 1].route.position)] if len(found) > limit else []
        shown, token = paging.page(found, limit, last)
        return inbox_service_pb2.ListInboxResponse(
            inbox_items=[convert.inbox_item(item) for item in shown], next_page_token=token
        )

    async def ReadInboxItem(
        self, request: inbox_service_pb2.ReadInboxItemRequest, _: Context
    ) -> inbox_service_pb2.InboxItem:
        """The item, read now or before."""
        route_log_id = parse_uuid(request.route_log_id, "route_log_id")
        now = self._clock.now()
        receipt = Receipt(route_log_id, READ_HERE, Status.READ, "", at=now, recorded_at=now)
        await self._receipts.record(Report(receipt, inbox_only=True))
        async with self._db.connect() as conn:
            item = await inbox.get(conn, route_log_id)
        if item is None:
            raise NotFound(f"there is no inbox item {route_log_id}")
        return convert.inbox_item(item)

    async def WatchInbox(
        self, request: inbox_service_pb2.WatchInboxRequest, context: Context
    ) -> AsyncIterator[inbox_service_pb2.WatchInboxResponse]:
        """What comes in from now on or after the resume token, each item once, until the server drains."""
        responder_id = request.responder_id
        _check(responder_id)
        if request.resume_token:
            position = _resumed(request.resume_token, responder_id)
        else:
            position = await self._feed.position(responder_id)
        await context.send_initial_metadata(())  # tells the watcher that "now" is past
        async for at, item in self._feed.follow(responder_id, position):
            yield inbox_service_pb2.WatchInboxResponse(inbox_item=item, resume_token=f"{responder_id}.{at}")


def _check(responder_id: str) -> None:
    problems = Problems()
    validation.name(problems, "responder_id", responder_id)
    problems.check()


def _resumed(token: str, responder_id: str) -> int:
    owner, _, position = token.rpartition(".")
    if owner != responder_id:
        raise Invalid.field("resume_token", f"is not a token of the inbox of {responder_id!r}")
    return _position(position, "resume_token")


def _position(text: str, field: str) -> int:
    """The position inside a token; positions fit into 18 digits."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise Invalid.field(field, "is not a token of this inbox")
    return int(text)
