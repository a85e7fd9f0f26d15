"""PageService: pages accepted durably, by group commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from chassis import validation
from chassis.batching import GroupCommit
from chassis.clock import Clock
from chassis.crash import crashpoint
from chassis.db import Database
from chassis.errors import Problems
from chassis.server import Context
from services.notify import convert
from services.notify.domain import page as domain
from services.notify.domain.contact_method import Channel, ContactMethod
from services.notify.domain.page import planned, responders
from services.notify.domain.route import RouteLog, Status
from services.notify.storage import contact_methods, pages
from tocsin.notify.v1 import page_service_pb2, page_service_pb2_grpc

MOST_PAGES = 1_000


class PageApi(page_service_pb2_grpc.PageServiceServicer):
    """Takes pages from escalation."""

    def __init__(self, *, db: Database, clock: Clock, accepted: Callable[[], None]) -> None:
        """`accepted` is called after each commit: something is due, in the inboxes and in the outbox."""
        self._db = db
        self._clock = clock
        self._accepted = accepted
        self._group = GroupCommit[domain.Page, None]("pages", self._flush)

    async def Page(self, request: page_service_pb2.PageRequest, _: Context) -> page_service_pb2.PageResponse:
        """Answers once every page is committed."""
        problems = Problems()
        validation.count(problems, "pages", request.pages, least=1, most=MOST_PAGES)
        given = [convert.page(page, f"pages[{n}]", problems) for n, page in enumerate(request.pages)]
        problems.check()
        for answer in await self._group.submit_many(given):
            if isinstance(answer, Exception):
                raise answer
        return page_service_pb2.PageResponse(
            execution_ids=[page.execution.execution_id for page in request.pages]
        )

    async def _flush(self, given: list[domain.Page]) -> Sequence[None]:
        now = self._clock.now()
        new = {page.execution_id: page for page in given}.values()
        async with self._db.raw() as conn:
            methods = _by_responder(await contact_methods.of_responders(conn, responders(new)))
            planned_ones = [_planned(page, methods, now) for page in new]
            routes = [route for some in planned_ones for route in some]
            events = [(r.execution_id, convert.event(Status.SENT, r, now)) for r in routes if _in_app(r)]
            await pages.accept(conn, list(new), routes, events, now)
        crashpoint("page.after_commit")
        self._accepted()
        return [None] * len(given)


Methods = Mapping[str, Sequence[ContactMethod]]


def _by_responder(methods: Iterable[ContactMethod]) -> Methods:
    found: dict[str, list[ContactMethod]] = {}
    for method in methods:
        found.setdefault(method.responder_id, []).append(method)
    return found


def _planned(page: domain.Page, methods: Methods, now: datetime) -> list[RouteLog]:
    return planned(page, [m for name in set(page.recipients) for m in methods.get(name, ())], now)


def _in_app(route: RouteLog) -> bool:
    return route.channel is Channel.IN_APP
