"""SLA, wired by hand: read it from top to bottom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from chassis.auth import scopes_of
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.inbox import Consumer
from chassis.loop import DueLoop
from chassis.outbox import maintain
from chassis.process import Running, running
from chassis.relay import Relay
from chassis.server import Server
from chassis.tls import Tls
from identity import audit_api
from identity.follower import Follower
from identity.gate import Gate
from messaging import api as messaging_api
from messaging import gauges
from messaging.epochs import Epochs
from services.sla import consumer
from services.sla.api.figures import Arrived, FigureApi
from services.sla.api.reports import ReportApi
from services.sla.api.targets import TargetApi
from services.sla.api.upkeep import UpkeepApi
from services.sla.clients import Owners
from services.sla.config import Config
from services.sla.consumer import Recorder
from services.sla.engine import Folder, Rebuilder
from services.sla.promises import POLL, Promises
from services.sla.storage import changes
from tocsin.options.v1 import options_pb2
from tocsin.sla.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    messaging_service_pb2,
    messaging_service_pb2_grpc,
    report_service_pb2,
    report_service_pb2_grpc,
    sla_service_pb2,
    sla_service_pb2_grpc,
    upkeep_service_pb2,
    upkeep_service_pb2_grpc,
)

STREAM, SUBJECTS = "TOCSIN_SLA", ("sla.>",)
SYNC, MAINTAIN, REBUILD = timedelta(seconds=30), timedelta(hours=1), timedelta(seconds=1)
MOMENT = timedelta(milliseconds=250)
"""The longest that a question waits for events that have arrived."""
WAITING = {"due_timer": "select min(next_at) from promises where next_at is not null"}
SERVICES = (
    *sla_service_pb2.DESCRIPTOR.services_by_name.values(),
    *audit_service_pb2.DESCRIPTOR.services_by_name.values(),
    *messaging_service_pb2.DESCRIPTOR.services_by_name.values(),
    *report_service_pb2.DESCRIPTOR.services_by_name.values(),
    *upkeep_service_pb2.DESCRIPTOR.services_by_name.values(),
)


class SlaApi(FigureApi, TargetApi):
    """Every method of SlaService."""

    def __init__(self, db: Database, clock: Clock, promises: Promises, arrived: Arrived) -> None:
        FigureApi.__init__(self, db, clock, arrived)
        TargetApi.__init__(self, db, clock, promises)


@asynccontextmanager
async def build(config: Config, *, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Wires the service; the process and the tests call this same function, tests with a clock of theirs."""
    tls = Tls.of(config)
    db = Database(config.database_url, name="sla", size=config.database_pool)
    bus = Bus(config.nats_url, name="sla")
    clock = clock or Clock()
    keys = Follower(config, subject="sla", tls=tls)
    gate = Gate(config, keys=keys)
    server = Server(
        listen=config.listen,
        verifier=gate,
        scopes=scopes_of(SERVICES, options_pb2.scope),
        tls=tls,
        implementation=config.grpc_server,
    )
    relay = Relay(db, bus, stream=STREAM, source="/tocsin/sla")
    promises = Promises(db, clock, after=relay.wake)
    telling = DueLoop("promises", promises.tell, poll=POLL)
    recorder = Recorder(promises)

    async def arrived() -> None:
        """Waits until the events that have arrived are in the figures, for a moment at most."""
        streams = (consumer.ALERTS, consumer.NOTIFICATIONS)
        caught_up = (bus.caught_up(stream=stream, durable="sla") for stream in streams)
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT.total_seconds()):
                await asyncio.gather(*caught_up)

    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(SlaApi(db, clock, promises, arrived), server.grpc)
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(audit_api.servicer(db), server.grpc)
    alerts = Consumer(
        db=db,
        bus=bus,
        stream=consumer.ALERTS,
        durable="sla",
        subjects=consumer.ALERT_SUBJECTS,
        handle=recorder.record,
        after=lambda _: telling.wake(),
        gather=consumer.GATHER,
    )
    notifications = Consumer(
        db=db,
        bus=bus,
        stream=consumer.NOTIFICATIONS,
        durable="sla",
        subjects=consumer.NOTIFICATION_SUBJECTS,
        handle=recorder.record,
        after=lambda _: telling.wake(),
        gather=consumer.GATHER,
    )
    report_service_pb2_grpc.add_ReportServiceServicer_to_server(ReportApi(db, clock), server.grpc)
    streams = [consumer.ALERTS, consumer.NOTIFICATIONS]
    messaging_service_pb2_grpc.add_MessagingServiceServicer_to_server(
        messaging_api.servicer(db, consumers=[alerts, notifications], wake=relay.wake), server.grpc
    )
    rebuilder = Rebuilder(db=db, bus=bus, clock=clock, streams=streams)
    rebuilding = DueLoop("rebuild", rebuilder.work, poll=REBUILD)
    upkeep_service_pb2_grpc.add_UpkeepServiceServicer_to_server(
        UpkeepApi(db, clock, requested=rebuilding.wake), server.grpc
    )
    owners = Owners(config, tls=tls)
    epochs = Epochs(db=db, bus=bus, clock=clock, durable="sla", owners=owners.streams)
    ages = gauges.Gauges("sla", db=db, bus=bus, clock=clock, waiting=WAITING, streams=streams)
    async with running(
        server=server,
        opening=[
            db.open,
            lambda: clock.sync(db),
            lambda: maintain(db, now=clock.now()),
            promises.rules.refresh,
            bus.connect,
            lambda: bus.ensure_stream(STREAM, SUBJECTS),
        ],
        loops=[
            keys.run,
            gate.run,
            alerts.run,
            notifications.run,
            promises.rules.run,
            telling.run,
            relay.run,
            rebuilding.run,
            *epochs.loops,
            DueLoop("gauges", ages.work, poll=gauges.POLL).run,
            DueLoop("fold", Folder(db).work, poll=changes.POLL).run,
            DueLoop("clock", lambda: clock.sync(db), poll=SYNC).run,
            DueLoop("maintain", lambda: maintain(db, now=clock.now()), poll=MAINTAIN).run,
        ],
        closing=[owners.close, keys.close, bus.close, db.close],
    ) as service:
        yield service
