"""An escalation service to talk to, with stand-ins for roster and notify: alerts, time, pages and events."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any
from uuid import UUID

import grpc
import nats
import psycopg
from google.protobuf.message import Message
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig, DeliverPolicy

from chassis.auth import Verifier, mint
from chassis.client import channel
from chassis.clock import Clock
from chassis.errors import Invalid, Unavailable
from chassis.ids import uuid7
from chassis.server import Context, Server
from chassis.wire import instant, timestamp
from cli.stack.nats import Nats
from services.escalation.config import Config
from services.escalation.main import build
from tests.fixtures.eventually import PATIENCE, eventually
from tests.fixtures.ports import PORTS
from tests.fixtures.postgres import TestDatabase
from tocsin.escalation.v1 import (
    alert_pb2,
    alert_service_pb2,
    alert_service_pb2_grpc,
    events_pb2,
    integration_service_pb2_grpc,
    noise_service_pb2_grpc,
    policy_pb2,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from tocsin.messaging.v1 import messaging_pb2
from tocsin.notify.v1 import events_pb2 as notify_events
from tocsin.notify.v1 import messaging_service_pb2_grpc, page_service_pb2, page_service_pb2_grpc, route_pb2
from tocsin.roster.v1 import events_pb2 as roster_events
from tocsin.roster.v1 import (
    on_call_service_pb2,
    on_call_service_pb2_grpc,
    schedule_pb2,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
)

STREAMS = {"TOCSIN_ROSTER": "roster.>", "TOCSIN_NOTIFICATION": "notification.>"}
"""Of the services that are not here."""
KEY = "a key for tests alone, long enough"
EVERYTHING = ("alerts:read", "alerts:write", "policies:read", "policies:write")
EVENTS: dict[str, Any] = {
    "alert.opened": events_pb2.AlertOpenedEvent,
    "alert.repeated": events_pb2.AlertRepeatedEvent,
    "alert.suppressed": events_pb2.AlertSuppressedEvent,
    "alert.noise_suppressed": events_pb2.AlertNoiseSuppressedEvent,
    "alert.acknowledged": events_pb2.AlertAcknowledgedEvent,
    "alert.reopened": events_pb2.AlertReopenedEvent,
    "alert.snoozed": events_pb2.AlertSnoozedEvent,
    "alert.reassigned": events_pb2.AlertReassignedEvent,
    "alert.escalated": events_pb2.AlertEscalatedEvent,
    "alert.escalation_exhausted": events_pb2.AlertEscalationExhaustedEvent,
    "alert.closed": events_pb2.AlertClosedEvent,
}


class Peer:
    """A service that escalation calls; it can go away, and come back at the same address."""

    def __init__(self, scopes: dict[str, str]) -> None:
        self.address = f"127.0.0.1:{PORTS.take()}"
        self._scopes = scopes
        self._server: Server | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers what it answers."""
        raise NotImplementedError

    async def start(self) -> None:
        """Answers from now on."""
        self._server = Server(listen=self.address, verifier=Verifier(KEY), scopes=self._scopes)
        self.add_to(self._server.grpc)
        await self._server.start()

    async def stop(self) -> None:
        """Is away from now on."""
        if self._server is not None:
            await self._server.drain(timedelta())
            self._server = None


class RosterPeer(
    Peer, on_call_service_pb2_grpc.OnCallServiceServicer, schedule_service_pb2_grpc.ScheduleServiceServicer
):
    """Says that people are on call: `on_call` by target; a responder's own target needs no saying.

    Schedules in `rotas` change: each is a list of instants and of who is on call from then on. Targets in `slow` are
    answered for after so many seconds.
    """

    def __init__(self) -> None:
        methods = (
            "OnCallService/ResolveTargets",
            "ScheduleService/ListSchedules",
            "ScheduleService/PreviewSchedule",
        )
        super().__init__({f"/tocsin.roster.v1.{method}": "roster:read" for method in methods})
        self.on_call: dict[str, list[str]] = {}
        self.rotas: dict[str, list[tuple[datetime, list[str]]]] = {}
        self.slow: dict[str, float] = {}
        self.asked: list[list[str]] = []
        self.silent = False

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers what it answers."""
        on_call_service_pb2_grpc.add_OnCallServiceServicer_to_server(self, server)
        schedule_service_pb2_grpc.add_ScheduleServiceServicer_to_server(self, server)

    async def ListSchedules(
        self, request: schedule_service_pb2.ListSchedulesRequest, context: Context
    ) -> schedule_service_pb2.ListSchedulesResponse:
        schedules = [schedule_pb2.Schedule(schedule_id=name) for name in self.rotas]
        return schedule_service_pb2.ListSchedulesResponse(schedules=schedules)

    async def PreviewSchedule(
        self, request: schedule_service_pb2.PreviewScheduleRequest, context: Context
    ) -> schedule_service_pb2.PreviewScheduleResponse:
        start, end = instant(request, "start"), instant(request, "end")
        assert start is not None
        assert end is not None
        turns = self.rotas.get(request.schedule_id, [])
        ends = [*(at for at, _ in turns[1:]), end]
        response = schedule_service_pb2.PreviewScheduleResponse()
        for (begins, people), ends_at in zip(turns, ends, strict=False):
            if begins < end and ends_at > start:
                for person in people:
                    response.segments.add(
                        responder_id=person,
                        starts_at=timestamp(max(begins, start)),
                        ends_at=timestamp(min(ends_at, end)),
                    )
        return response

    def people(self, schedule_id: str, at: datetime) -> list[str]:
        """Who is on call on a schedule that changes."""
        return next((people for begins, people in reversed(self.rotas[schedule_id]) if begins <= at), [])

    async def ResolveTarget(
        self, request: on_call_service_pb2.ResolveTargetRequest, context: Context
    ) -> on_call_service_pb2.ResolveTargetResponse:
        raise AssertionError("escalation asks for many targets at once")

    async def ResolveTargets(
        self, request: on_call_service_pb2.ResolveTargetsRequest, context: Context
    ) -> on_call_service_pb2.ResolveTargetsResponse:
        self.asked.append(list(request.targets))
        if self.silent:
            await asyncio.Event().wait()
        await asyncio.sleep(max((self.slow.get(target, 0.0) for target in request.targets), default=0.0))
        at = instant(request, "at")
        assert at is not None
        return on_call_service_pb2.ResolveTargetsResponse(
            results=[self._resolve(target, at) for target in request.targets]
        )

    def _resolve(self, target: str, at: datetime) -> on_call_service_pb2.ResolvedTarget:
        kind, _, name = target.partition("://")
        people = [name] if kind == "responder" else self.on_call.get(target, [])
        if kind == "oncall" and name in self.rotas:
            people = self.people(name, at)
        if target == "oncall://active" and self.rotas:
            people = sorted({person for one in self.rotas for person in self.people(one, at)})
        responders = [on_call_service_pb2.OnCallResponder(responder_id=person) for person in people]
        return on_call_service_pb2.ResolvedTarget(target=target, responders=responders)


class NotifyOutbox(messaging_service_pb2_grpc.MessagingServiceServicer):
    """The events of notify that its broker has not taken."""

    def __init__(self) -> None:
        self.waiting: list[messaging_pb2.WaitingEvent] = []

    async def FetchNotifyEvents(
        self, request: messaging_pb2.FetchEventsRequest, context: Context
    ) -> messaging_pb2.FetchEventsResponse:
        left = [event for event in self.waiting if event.position > request.after]
        return messaging_pb2.FetchEventsResponse(events=left)


class NotifyPeer(Peer, page_service_pb2_grpc.PageServiceServicer):
    """Accepts pages: `pages` in the order of their first acceptance, `calls` counts what came."""

    def __init__(self) -> None:
        methods = ("PageService/Page", "MessagingService/FetchNotifyEvents")
        super().__init__({f"/tocsin.notify.v1.{method}": "service" for method in methods})
        self.outbox = NotifyOutbox()  # type: ignore[abstract]  # the others are not called
        self.pages: dict[str, page_service_pb2.Page] = {}
        self.calls: list[list[str]] = []
        self.refuses: set[str] = set()
        self.failing = False

    def add_to(self, server: grpc.aio.Server) -> None:
        """Registers what it answers."""
        page_service_pb2_grpc.add_PageServiceServicer_to_server(self, server)
        messaging_service_pb2_grpc.add_MessagingServiceServicer_to_server(self.outbox, server)

    async def Page(
        self, request: page_service_pb2.PageRequest, context: Context
    ) -> page_service_pb2.PageResponse:
        self.calls.append([page.execution.execution_id for page in request.pages])
        if self.failing:
            raise Unavailable("the test says so")
        if any(page.alert.title in self.refuses for page in request.pages):
            raise Invalid("the test says so")
        for page in request.pages:
            self.pages.setdefault(page.execution.execution_id, page)
        return page_service_pb2.PageResponse(execution_ids=self.calls[-1])

    def told(self) -> list[tuple[str, int, list[str]]]:
        """What was told: title, level and recipients of each page."""
        return [
            (page.alert.title, page.execution.level, list(page.execution.recipients))
            for page in self.pages.values()
        ]


class Replica:
    """One running service and its methods."""

    def __init__(
        self, address: str, wire: grpc.aio.Channel, clock: Clock, life: AsyncExitStack | None = None
    ) -> None:
        self.life = life or AsyncExitStack()
        self.address = address
        self.wire = wire
        self.clock = clock
        self.alerts = alert_service_pb2_grpc.AlertServiceStub(wire)
        self.policies = policy_service_pb2_grpc.PolicyServiceStub(wire)
        self.noise = noise_service_pb2_grpc.NoiseServiceStub(wire)
        self.integrations = integration_service_pb2_grpc.IntegrationServiceStub(wire)

    async def trigger(
        self, title: str = "disk full", **fields: Any
    ) -> alert_service_pb2.TriggerAlertResponse:
        """Triggers an alert."""
        return await self.alerts.TriggerAlert(
            alert_service_pb2.TriggerAlertRequest(**{"title": title, **fields})
        )

    async def open(self, title: str = "disk full", **fields: Any) -> alert_pb2.Alert:
        """Triggers an alert, and answers it."""
        return (await self.trigger(title, **fields)).alert

    async def batch(
        self, *requests: alert_service_pb2.TriggerAlertRequest
    ) -> Sequence[alert_service_pb2.BatchTriggerAlertsResult]:
        """Triggers many."""
        request = alert_service_pb2.BatchTriggerAlertsRequest(requests=requests)
        return (await self.alerts.BatchTriggerAlerts(request)).results

    async def get(self, alert: alert_pb2.Alert) -> alert_pb2.Alert:
        """The alert as it is now."""
        return await self.alerts.GetAlert(alert_service_pb2.GetAlertRequest(alert_id=alert.alert_id))

    async def acknowledge(self, alert: alert_pb2.Alert, **fields: str) -> alert_pb2.Alert:
        """Takes the alert."""
        return await self.alerts.AcknowledgeAlert(
            alert_service_pb2.AcknowledgeAlertRequest(alert_id=alert.alert_id, **fields)
        )

    async def close(self, alert: alert_pb2.Alert, **fields: str) -> alert_pb2.Alert:
        """Ends the alert."""
        return await self.alerts.CloseAlert(
            alert_service_pb2.CloseAlertRequest(alert_id=alert.alert_id, **fields)
        )

    async def find(self, **filters: Any) -> list[alert_pb2.Alert]:
        """The first page of the alerts that pass."""
        request = alert_service_pb2.ListAlertsRequest(**filters)
        return list((await self.alerts.ListAlerts(request)).alerts)

    async def actions(self, alert: alert_pb2.Alert) -> list[alert_pb2.AlertAction]:
        """The timeline of the alert."""
        request = alert_service_pb2.ListAlertActionsRequest(alert_id=alert.alert_id)
        return list((await self.alerts.ListAlertActions(request)).actions)

    async def steps(self, alert: alert_pb2.Alert) -> list[alert_pb2.EscalationExecution]:
        """The escalation steps of the alert."""
        request = alert_service_pb2.ListEscalationsRequest(alert_id=alert.alert_id)
        return list((await self.alerts.ListEscalations(request)).executions)

    async def run(self, *alerts: alert_pb2.Alert, **fields: Any) -> list[alert_pb2.EscalationExecution]:
        """Has what is due evaluated at once."""
        request = alert_service_pb2.RunEscalationsRequest(
            alert_ids=[alert.alert_id for alert in alerts], **fields
        )
        return list((await self.alerts.RunEscalations(request)).executions)

    async def policy(
        self, name: str, *steps: tuple[list[str], float], **fields: Any
    ) -> policy_pb2.EscalationPolicy:
        """Makes a policy of levels: targets and seconds to acknowledge."""
        made = policy_pb2.EscalationPolicy(policy_id=name, **fields)
        for targets, seconds in steps:
            step = made.steps.add(targets=targets)
            step.ack_timeout.FromTimedelta(timedelta(seconds=seconds))
        return await self.policies.CreateEscalationPolicy(
            policy_service_pb2.CreateEscalationPolicyRequest(escalation_policy=made)
        )


class World:
    """Replicas on one database and one broker, and their peers; `advance` moves the time of all of them."""

    def __init__(self, database: TestDatabase, broker: Nats) -> None:
        self.database = database
        self.broker = broker
        self.roster = RosterPeer()  # type: ignore[abstract]  # answers what escalation asks
        self.notify = NotifyPeer()
        self.replicas: list[Replica] = []
        self._stream: JetStreamContext
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> "World":
        for peer in (self.roster, self.notify):
            await peer.start()
            self._stack.push_async_callback(peer.stop)
        client = await nats.connect(self.broker.url())
        self._stack.push_async_callback(client.close)
        self._stream = client.jetstream()
        for stream, subjects in STREAMS.items():
            await self._stream.add_stream(name=stream, subjects=[subjects])
        await self.replica()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def here(self) -> Replica:
        """The first replica."""
        return self.replicas[0]

    @property
    def now(self) -> datetime:
        """The time of the world."""
        return self.here.clock.now()

    def advance(self, **by: float) -> None:
        """Moves the clocks of all replicas, like `advance(minutes=2)`."""
        for replica in self.replicas:
            replica.clock.advance(timedelta(**by))

    def config(self, **fields: Any) -> Config:
        """What a replica is told."""
        told = {
            "token_key": KEY,
            "database_url": self.database.url("escalation"),
            "nats_url": self.broker.url("escalation"),
            "database_pool": 4,
            "roster_address": self.roster.address,
            "notify_address": self.notify.address,
        }
        return Config(**{**told, **fields})

    async def replica(self, **fields: Any) -> Replica:
        """Starts one more replica."""
        clock, life = Clock(), AsyncExitStack()
        service = await life.enter_async_context(build(self.config(**fields), clock=clock))
        self._stack.push_async_callback(life.aclose)
        replica = Replica(service.address, self.channel(service.address), clock, life)
        self.replicas.append(replica)
        return replica

    async def stop(self, replica: Replica) -> None:
        """Stops a replica in good order."""
        self.replicas.remove(replica)
        await replica.life.aclose()

    def channel(
        self, address: str, subject: str = "tester", scopes: Iterable[str] = EVERYTHING
    ) -> grpc.aio.Channel:
        """A channel to a replica with a token of its own."""
        wire = channel(
            address,
            token=mint(KEY, subject=subject, scopes=scopes),
            deadline=timedelta(seconds=PATIENCE),
        )
        self._stack.push_async_callback(wire.close)
        return wire

    def as_(self, subject: str, *scopes: str) -> Replica:
        """The first replica, called by somebody else."""
        address = self.here.address
        return Replica(address, self.channel(address, subject, scopes or EVERYTHING), self.here.clock)

    async def pages(self, count: int) -> list[tuple[str, int, list[str]]]:
        """Waits until notify has been told so many pages, and answers them; fails when there are more."""
        await eventually(lambda: len(self.notify.pages) >= count)
        told = self.notify.told()
        assert len(told) == count, told
        return told

    async def tell(self, kind: str, message: Message, event_id: UUID | None = None) -> None:
        """Publishes an event of another service as its relay does; the same id is the same event."""
        headers = {
            "ce-id": str(event_id or uuid7()),
            "ce-type": kind,
            "ce-subject": "it",
            "ce-time": datetime.now(UTC).isoformat(),
        }
        await self._stream.publish(kind, message.SerializeToString(), headers=headers)

    async def hand_over(
        self, schedule_id: str, outgoing: str, incoming: str, *, at: datetime, event_id: UUID | None = None
    ) -> None:
        """Tells of a handover, from people to people, separated by blanks."""
        event = roster_events.HandoverEvent(
            schedule_id=schedule_id,
            outgoing_responder_ids=outgoing.split(),
            incoming_responder_ids=incoming.split(),
            at=timestamp(at),
        )
        await self.tell("roster.handover", event, event_id)

    async def out_of_reach(self, step: alert_pb2.EscalationExecution, person: str) -> None:
        """Tells that nothing reaches a person for a step."""
        await self.tell("notification.exhausted", _out_of_reach(step, person))

    def keep_to_itself(self, step: alert_pb2.EscalationExecution, person: str) -> None:
        """The same, in notify's outbox: the broker does not take it."""
        waiting = self.notify.outbox.waiting
        event = messaging_pb2.WaitingEvent(
            position=len(waiting) + 1,
            event_id=str(uuid7()),
            type="notification.exhausted",
            subject="it",
            at=timestamp(datetime.now(UTC)),
            data=_out_of_reach(step, person).SerializeToString(),
        )
        waiting.append(event)

    async def consumed(self, durable: str, count: int) -> None:
        """Waits until so many events of a stream, named like `roster`, have been handled."""
        query = "select count(*) from inbox where consumer = %s"

        async def enough() -> bool:
            ((handled,),) = await self.rows(query, f"escalation/TOCSIN_{durable.upper()}")
            return bool(handled >= count)

        await eventually(enough)

    async def steps(self, alert: alert_pb2.Alert, count: int) -> list[alert_pb2.EscalationExecution]:
        """Waits until the alert has so many steps, and answers them."""

        async def enough() -> list[alert_pb2.EscalationExecution]:
            found = await self.here.steps(alert)
            assert len(found) >= count, found
            return found

        return await eventually(enough)

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the service's schema holds."""
        url = self.database.url("escalation")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            return await (await conn.execute(query.encode(), values)).fetchall()

    async def events(self, alert: alert_pb2.Alert) -> list[tuple[str, Any]]:
        """The events of an alert in the outbox, in order: type and message."""
        rows = await self.rows(
            "select type, data from outbox where subject = %s order by seq", alert.alert_id
        )
        return [(kind, EVENTS[kind].FromString(bytes(data))) for kind, data in rows]

    async def happened(self, alert: alert_pb2.Alert) -> list[str]:
        """The types of the alert's events, in order; their versions must grow by one with each."""
        events = await self.events(alert)
        assert [event.version for _, event in events] == list(range(1, len(events) + 1))
        assert all(event.version == event.alert.version for _, event in events)
        return [kind.removeprefix("alert.") for kind, _ in events]

    async def published(self, count: int) -> list[str]:
        """The types of the first `count` events of the stream, as the broker has them."""
        client = await nats.connect(self.broker.url())
        try:
            config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL)
            found = await client.jetstream().subscribe("alert.>", stream="TOCSIN_ALERT", config=config)
            return [(await found.next_msg(timeout=PATIENCE)).headers["ce-type"] for _ in range(count)]  # type: ignore[index]
        finally:
            await client.close()


def uuid(alert: alert_pb2.Alert) -> UUID:
    """The id of an alert."""
    return UUID(alert.alert_id)


def _out_of_reach(
    step: alert_pb2.EscalationExecution, person: str
) -> notify_events.NotificationExhaustedEvent:
    route = route_pb2.RouteLog(alert_id=step.alert_id, execution_id=step.execution_id, responder_id=person)
    return notify_events.NotificationExhaustedEvent(route_log=route)
