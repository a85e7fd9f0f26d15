"""Notify on real parts, with an escalation that stands outside: the words in which the stories are told."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import psycopg

from chassis.auth import Verifier, actor, mint, scopes_of
from chassis.client import channel
from chassis.clock import Clock
from chassis.errors import DomainError, Refused
from chassis.ids import uuid7
from chassis.server import Server
from cli.stack.nats import Nats
from services.notify.channels.webhook import Webhooks
from services.notify.config import Config
from services.notify.domain.networks import Networks
from services.notify.main import build
from tests.fixtures.eventually import PATIENCE, eventually
from tests.fixtures.ports import PORTS
from tests.fixtures.postgres import TestDatabase
from tests.service.notify.receivers import Receiver
from tocsin.escalation.v1 import alert_pb2, alert_service_pb2, alert_service_pb2_grpc
from tocsin.notify.v1 import (
    contact_method_pb2,
    contact_method_service_pb2,
    contact_method_service_pb2_grpc,
    events_pb2,
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    page_service_pb2,
    page_service_pb2_grpc,
    route_pb2,
    route_service_pb2,
    route_service_pb2_grpc,
    template_service_pb2_grpc,
)
from tocsin.options.v1 import options_pb2
from tocsin.roster.v1 import responder_pb2, responder_service_pb2, responder_service_pb2_grpc

TOKEN_KEY, RECEIPT_KEY = "a token key for tests alone, long enough", "a receipt key for tests"
SECRETS_KEY = "a secrets key for tests alone: long enough"
WEBHOOK = contact_method_pb2.Channel.WEBHOOK
IN_APP = contact_method_pb2.Channel.IN_APP
EVENTS: dict[str, Any] = {
    "notification.sent": events_pb2.NotificationSentEvent,
    "notification.delivered": events_pb2.NotificationDeliveredEvent,
    "notification.read": events_pb2.NotificationReadEvent,
    "notification.acknowledged": events_pb2.NotificationAcknowledgedEvent,
    "notification.failed": events_pb2.NotificationFailedEvent,
    "notification.exhausted": events_pb2.NotificationExhaustedEvent,
}


@dataclass
class Escalation(alert_service_pb2_grpc.AlertServiceServicer):
    """Stands in for escalation: who acknowledged what; `trouble` is raised instead while it is set.

    `trouble_with` is raised for single alerts. It can go away, and come back at the same address; while `answers` is
    not set it is there and says nothing.
    """

    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0
    trouble: DomainError | None = None
    trouble_with: dict[str, DomainError] = field(default_factory=dict)
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    address: str = field(default_factory=lambda: f"127.0.0.1:{PORTS.take()}")
    roster: "Roster" = field(default_factory=lambda: Roster())  # type: ignore[abstract]  # the others are not called
    taken_by: str = ""
    """Who was faster; empty: whoever asks has the alert."""
    closed_by: str = ""
    """Who has closed every alert; empty: they are open."""
    reopened: bool = False
    """Whether every alert that was taken is open again; `taken_by` had it before whoever asked."""
    _server: Server | None = None

    async def start(self) -> None:
        """Answers from now on, with the real scopes."""
        services = (
            *alert_service_pb2.DESCRIPTOR.services_by_name.values(),
            *responder_service_pb2.DESCRIPTOR.services_by_name.values(),
        )
        self._server = Server(
            listen=self.address,
            verifier=Verifier(TOKEN_KEY),
            scopes=scopes_of(services, options_pb2.scope),
        )
        alert_service_pb2_grpc.add_AlertServiceServicer_to_server(self, self._server.grpc)
        responder_service_pb2_grpc.add_ResponderServiceServicer_to_server(self.roster, self._server.grpc)
        await self._server.start()
        self.answers.set()

    async def stop(self) -> None:
        """Is away from now on."""
        if self._server is not None:
            await self._server.drain(timedelta())
            self._server = None

    async def AcknowledgeAlert(
        self, request: alert_service_pb2.AcknowledgeAlertRequest, _: Any
    ) -> alert_pb2.Alert:
        """As the real one: acting for another needs the scope act-as."""
        self.calls += 1
        await self.answers.wait()
        if trouble := self.trouble or self.trouble_with.get(request.alert_id):
            raise trouble
        if self.closed_by:
            raise Refused("it is CLOSED", reason="ALERT_CLOSED")
        self.acknowledged.append((request.alert_id, actor(request.actor)))
        return alert_pb2.Alert(alert_id=request.alert_id, acked_by=self.taken_by or actor(request.actor))

    async def GetAlert(self, request: alert_service_pb2.GetAlertRequest, _: Any) -> alert_pb2.Alert:
        """As the real one, as far as it is asked for."""
        if self.trouble is not None:
            raise self.trouble
        taken = [by for alert_id, by in self.acknowledged if alert_id == request.alert_id]
        by = self.taken_by or next(iter(taken), "")
        if self.reopened:
            return alert_pb2.Alert(alert_id=request.alert_id, state=alert_pb2.Alert.OPEN)
        return alert_pb2.Alert(alert_id=request.alert_id, acked_by=by, closed_by=self.closed_by)

    async def ListAlertActions(
        self, request: alert_service_pb2.ListAlertActionsRequest, _: Any
    ) -> alert_service_pb2.ListAlertActionsResponse:
        """As the real one, two actions a page: each who took it and that it was opened again, the oldest first."""
        taken = [by for alert_id, by in self.acknowledged if alert_id == request.alert_id]
        who = [one for one in (self.taken_by, *taken) if one]
        start = int(request.page_token or 0)
        return alert_service_pb2.ListAlertActionsResponse(
            actions=[
                alert_pb2.AlertAction(type=alert_pb2.AlertAction.ACK, actor=one)
                for one in who[start : start + 1]
            ]
            + [alert_pb2.AlertAction(type=alert_pb2.AlertAction.REOPEN, actor="dave")],
            next_page_token=str(start + 1) if start + 1 < len(who) else "",
        )


@dataclass
class Roster(responder_service_pb2_grpc.ResponderServiceServicer):
    """Stands in for roster: who there is, two a page."""

    people: list[str] = field(default_factory=list)
    trouble: DomainError | None = None

    async def ListResponders(
        self, request: responder_service_pb2.ListRespondersRequest, _: Any
    ) -> responder_service_pb2.ListRespondersResponse:
        """As the real one, in the order of the ids."""
        if self.trouble is not None:
            raise self.trouble
        start = int(request.page_token or 0)
        left = sorted(self.people)[start : start + 2]
        return responder_service_pb2.ListRespondersResponse(
            responders=[responder_pb2.Responder(responder_id=p, display_name=p.title()) for p in left],
            next_page_token=str(start + 2) if start + 2 < len(self.people) else "",
        )


@asynccontextmanager
async def escalating() -> AsyncIterator[Escalation]:
    """An escalation on a free port."""
    escalation = Escalation()  # type: ignore[abstract]  # the other verbs are not called
    await escalation.start()
    try:
        yield escalation
    finally:
        await escalation.stop()


class Replica:
    """One running notify and stubs to it."""

    def __init__(self, address: str, *, token: str) -> None:
        self.address = address
        self.channel = channel(address, token=token, deadline=timedelta(seconds=PATIENCE))
        self.methods = contact_method_service_pb2_grpc.ContactMethodServiceStub(self.channel)
        self.pages = page_service_pb2_grpc.PageServiceStub(self.channel)
        self.routes = route_service_pb2_grpc.RouteServiceStub(self.channel)
        self.templates = template_service_pb2_grpc.MessageTemplateServiceStub(self.channel)
        self.inbox = inbox_service_pb2_grpc.InboxServiceStub(self.channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def watch(self, responder: str, resume_token: str = "") -> Any:
        """The stream of an inbox."""
        request = inbox_service_pb2.WatchInboxRequest(responder_id=responder, resume_token=resume_token)
        return self.inbox.WatchInbox(request, metadata=self._metadata)

    def export(self, request: route_service_pb2.ExportRoutesRequest) -> Any:
        """The pieces of an export."""
        return self.routes.ExportRoutes(request, metadata=self._metadata)


class World:
    """A database, a broker, an escalation, and as many replicas of notify as a story needs."""

    def __init__(
        self, database: TestDatabase, broker: Nats, escalation: Escalation, stack: AsyncExitStack
    ) -> None:
        self.database = database
        self.broker = broker
        self.escalation = escalation
        self.clock = Clock()
        self.replicas: list[Replica] = []
        self._stack = stack
        self._running: list[AsyncExitStack] = []

    @property
    def notify(self) -> Replica:
        """The first replica."""
        return self.replicas[0]

    def config(self, **values: Any) -> Config:
        """What a replica is told."""
        defaults = {
            "database_url": self.database.url("notify"),
            "nats_url": self.broker.url("notify"),
            "token_key": TOKEN_KEY,
            "receipt_key": RECEIPT_KEY,
            "escalation_address": self.escalation.address,
            "public_url": "https://tocsin.example",
            "webhook_allow": "127.0.0.0/8",
            "secrets_key": SECRETS_KEY,
            "roster_address": self.escalation.address,
        }
        return Config(**{**defaults, **values})

    async def start(self, *, webhooks: Webhooks | None = None, **values: Any) -> Replica:
        """Starts a replica."""
        own = await self._stack.enter_async_context(AsyncExitStack())
        running = build(self.config(**values), clock=self.clock, webhooks=webhooks)
        service = await running.__aenter__()
        replica = Replica(service.address, token=self.token("admin"))
        own.push_async_callback(replica.channel.close)
        own.push_async_exit(running)
        self.replicas.append(replica)
        self._running.append(own)
        return replica

    def patient_webhooks(self) -> Webhooks:
        """Webhooks whose attempts last longer than any test waits: what hangs, hangs."""
        networks = Networks(("127.0.0.0/8",))
        return Webhooks(networks=networks, now=self.clock.now, deadline=timedelta(seconds=3 * PATIENCE))

    async def stop(self) -> None:
        """Stops every replica."""
        while self._running:
            await self._running.pop().aclose()
        self.replicas.clear()

    def token(self, *scopes: str) -> str:
        """A token of somebody with these scopes."""
        return mint(TOKEN_KEY, subject="tester", scopes=scopes)

    async def anonymous(self) -> Replica:
        """The first replica without a token."""
        replica = Replica(self.notify.address, token="")
        self._stack.push_async_callback(replica.channel.close)
        return replica

    async def webhook(
        self, responder: str, receiver: Receiver, *, path: str = "", **values: Any
    ) -> contact_method_pb2.ContactMethod:
        """Gives a responder a webhook; the answer has its secret."""
        method = contact_method_pb2.ContactMethod(
            responder_id=responder, channel=WEBHOOK, address=receiver.url + path, **values
        )
        return await self.notify.methods.CreateContactMethod(
            contact_method_service_pb2.CreateContactMethodRequest(contact_method=method)
        )

    async def page(
        self, *responders: str, replica: Replica | None = None, **values: Any
    ) -> page_service_pb2.Page:
        """Pages people for an alert; `values` are those of `a_page`."""
        page = a_page(responders, **values)
        await (replica or self.notify).pages.Page(page_service_pb2.PageRequest(pages=[page]))
        return page

    async def routes(
        self, page: page_service_pb2.Page, channel: Any = WEBHOOK
    ) -> Sequence[route_pb2.RouteLog]:
        """The route logs of a page by one channel, the newest first."""
        found = await self.notify.routes.ListRoutes(
            route_service_pb2.ListRoutesRequest(execution_id=page.execution.execution_id, channel=channel)
        )
        return found.routes

    async def becomes(
        self, page: page_service_pb2.Page, status: str, *, channel: Any = WEBHOOK, timeout: float = PATIENCE
    ) -> route_pb2.RouteLog:
        """The page's one route log by the channel, once it has the status."""
        wanted = route_pb2.RouteLog.Status.Value(status)

        async def reached() -> route_pb2.RouteLog | None:
            (route,) = await self.routes(page, channel)
            assert route.status == wanted, f"{route}"
            return route

        found = await eventually(reached, timeout)
        assert found is not None
        return found

    async def route_becomes(self, route_log_id: str, status: str) -> route_pb2.RouteLog:
        """A route log once it has the status."""
        wanted = route_pb2.RouteLog.Status.Value(status)

        async def reached() -> route_pb2.RouteLog:
            route = await self.notify.routes.GetRoute(
                route_service_pb2.GetRouteRequest(route_log_id=route_log_id)
            )
            assert route.status == wanted, f"{route}"
            return route

        return await eventually(reached)

    async def receipt(
        self,
        route_log_id: str,
        status: str,
        *,
        replica: Replica | None = None,
        timeout: float | None = None,
        **values: Any,
    ) -> route_pb2.RouteLog:
        """Reports on a route log."""
        request = route_service_pb2.RecordReceiptRequest(
            route_log_id=route_log_id, status=route_pb2.RouteLog.Status.Value(status), **values
        )
        return await (replica or self.notify).routes.RecordReceipt(request, timeout=timeout)

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the database has, read as the administrator."""
        with psycopg.connect(self.database.admin, autocommit=True) as conn:
            conn.execute("set search_path = notify")
            cursor = conn.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def events(self, *types: str) -> list[tuple[str, Any]]:
        """The events written so far, as type and message, in order; those of the types when some are named."""
        rows = self.sql("select type, data from outbox order by seq")
        return [(kind, EVENTS[kind].FromString(data)) for kind, data in rows if not types or kind in types]


def a_page(
    responders: Sequence[str],
    *,
    alert_id: str = "",
    execution_id: str = "",
    severity: str = "CRITICAL",
    title: str = "disk full",
    version: int = 2,
    level: int = 1,
) -> page_service_pb2.Page:
    """A page as escalation makes it."""
    alert_id = alert_id or str(uuid7())
    alert = alert_pb2.Alert(
        alert_id=alert_id,
        title=title,
        severity=alert_pb2.Severity.Value.Value(severity),
        state=alert_pb2.Alert.OPEN,
        labels={"host": "db-1"},
        version=version,
        trigger_count=1,
    )
    alert.opened_at.GetCurrentTime()
    execution = alert_pb2.EscalationExecution(
        execution_id=execution_id or str(uuid7()),
        alert_id=alert_id,
        level=level,
        reason=alert_pb2.EscalationExecution.INITIAL,
        recipients=responders,
    )
    return page_service_pb2.Page(execution=execution, alert=alert)


@asynccontextmanager
async def world_on(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """A world with one replica."""
    async with AsyncExitStack() as stack:
        escalation = await stack.enter_async_context(escalating())
        world = World(database, broker, escalation, stack)
        await world.start()
        yield world
    gc.collect()  # frees connections whose opening was cancelled: "drop database" waits for such


async def first(stream: Any, count: int = 1) -> list[inbox_service_pb2.WatchInboxResponse]:
    """The next answers of a stream."""
    async with asyncio.timeout(PATIENCE):
        answers = [await stream.read() for _ in range(count)]
    assert grpc.aio.EOF not in answers
    return answers
