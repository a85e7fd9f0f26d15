"""The roster service, wired by hand: read it from top to bottom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from chassis import outbox
from chassis.auth import scopes_of
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Unavailable
from chassis.loop import DueLoop
from chassis.process import Running, running
from chassis.relay import Relay
from chassis.server import Server
from chassis.snapshot import Snapshot
from chassis.tls import Tls
from chassis.wake import Wakeups
from identity import audit_api
from identity.gate import Gate
from messaging import api as messaging_api
from messaging import gauges
from services.roster.api.api_keys import ApiKeyApi
from services.roster.api.calendars import CalendarApi
from services.roster.api.on_call import OnCallApi
from services.roster.api.responders import ResponderApi
from services.roster.api.schedules import ScheduleApi
from services.roster.api.shifts import ShiftApi
from services.roster.api.swaps import SwapApi
from services.roster.api.teams import TeamApi
from services.roster.api.time_off import TimeOffApi
from services.roster.config import Config
from services.roster.convert import events
from services.roster.engine import OUTBOX, Engine
from services.roster.key_memory import KeyMemory
from services.roster.memory import CHANGED, Memory
from services.roster.storage import rosters
from tocsin.options.v1 import options_pb2
from tocsin.roster.v1 import (
    api_key_service_pb2,
    api_key_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    messaging_service_pb2,
    messaging_service_pb2_grpc,
    on_call_service_pb2,
    on_call_service_pb2_grpc,
    responder_service_pb2,
    responder_service_pb2_grpc,
    schedule_service_pb2,
    schedule_service_pb2_grpc,
    shift_service_pb2,
    shift_service_pb2_grpc,
    swap_service_pb2,
    swap_service_pb2_grpc,
    team_service_pb2,
    team_service_pb2_grpc,
    time_off_service_pb2,
    time_off_service_pb2_grpc,
)

SERVICES = [
    responder_service_pb2.DESCRIPTOR.services_by_name["ResponderService"],
    team_service_pb2.DESCRIPTOR.services_by_name["TeamService"],
    schedule_service_pb2.DESCRIPTOR.services_by_name["ScheduleService"],
    shift_service_pb2.DESCRIPTOR.services_by_name["ShiftService"],
    time_off_service_pb2.DESCRIPTOR.services_by_name["TimeOffService"],
    swap_service_pb2.DESCRIPTOR.services_by_name["SwapService"],
    on_call_service_pb2.DESCRIPTOR.services_by_name["OnCallService"],
    calendar_service_pb2.DESCRIPTOR.services_by_name["CalendarService"],
    api_key_service_pb2.DESCRIPTOR.services_by_name["ApiKeyService"],
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
    messaging_service_pb2.DESCRIPTOR.services_by_name["MessagingService"],
]
UPKEEP, CLOCK = timedelta(hours=1), timedelta(minutes=1)
OLDEST_DUE = "select min(due_at) from watches"


@asynccontextmanager
async def build(config: Config, *, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Wires the service; the process and the tests call this same function."""
    clock = clock or Clock()
    tls = Tls.of(config)
    db = Database(config.database_url, name="roster", size=config.database_pool)
    bus = Bus(config.nats_url, name="roster")
    wakeups = Wakeups(db)
    snapshot = Snapshot("roster", rosters.Reader().load, db, version=rosters.version)
    memory = Memory(snapshot, wakeups)
    keys = KeyMemory(db, wakeups, clock)
    relay = Relay(db, bus, stream=events.STREAM, source=events.SOURCE)
    gap_ahead = timedelta(days=config.gap_ahead_days)
    engine = Engine(db=db, memory=memory, wakeups=wakeups, clock=clock, gap_ahead=gap_ahead)
    wakeups.on(OUTBOX, relay.wake)
    for wake in (snapshot.wake, engine.wake, relay.wake):
        wakeups.on(CHANGED, wake)

    gate = Gate(config, keys=keys)
    server = Server(
        listen=config.listen,
        verifier=gate,
        scopes=scopes_of(SERVICES, options_pb2.scope),
        tls=tls,
        implementation=config.grpc_server,
    )
    _register(server, db, memory, clock)
    api_key_service_pb2_grpc.add_ApiKeyServiceServicer_to_server(
        ApiKeyApi(db, keys, clock, draining=server.draining), server.grpc
    )

    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(audit_api.servicer(db), server.grpc)

    messaging_service_pb2_grpc.add_MessagingServiceServicer_to_server(
        messaging_api.servicer(db, wake=relay.wake), server.grpc
    )
    ages = gauges.Gauges("roster", db=db, bus=bus, clock=clock, waiting={"due_timer": OLDEST_DUE})

    upkeep = DueLoop("upkeep", lambda: _keep(db, clock), poll=UPKEEP)
    timekeeper = DueLoop("clock", lambda: clock.sync(db), poll=CLOCK)
    async with running(
        server=server,
        opening=[
            db.open,
            lambda: clock.sync(db),
            lambda: _make_days(db, clock),
            lambda: memory.begin(clock.now()),
            keys.refresh,
            bus.connect,
            lambda: bus.ensure_stream(events.STREAM, [events.SUBJECTS]),
        ],
        loops=[
            wakeups.run,
            snapshot.run,
            keys.run,
            gate.run,
            relay.run,
            engine.run,
            upkeep.run,
            timekeeper.run,
            DueLoop("gauges", ages.work, poll=gauges.POLL).run,
        ],
        closing=[bus.close, db.close],
    ) as service:
        yield service


def _register(server: Server, db: Database, memory: Memory, clock: Clock) -> None:
    responder_service_pb2_grpc.add_ResponderServiceServicer_to_server(
        ResponderApi(db, memory, clock), server.grpc
    )
    schedule_service_pb2_grpc.add_ScheduleServiceServicer_to_server(
        ScheduleApi(db, memory, clock), server.grpc
    )
    shift_service_pb2_grpc.add_ShiftServiceServicer_to_server(ShiftApi(db, memory, clock), server.grpc)
    team_service_pb2_grpc.add_TeamServiceServicer_to_server(TeamApi(db, memory, clock), server.grpc)
    time_off_service_pb2_grpc.add_TimeOffServiceServicer_to_server(TimeOffApi(db, memory, clock), server.grpc)
    swap_service_pb2_grpc.add_SwapServiceServicer_to_server(SwapApi(db, memory, clock), server.grpc)
    on_call_service_pb2_grpc.add_OnCallServiceServicer_to_server(OnCallApi(memory, clock), server.grpc)
    calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server(
        CalendarApi(db, memory, clock), server.grpc
    )


async def _make_days(db: Database, clock: Clock) -> None:
    """Makes the outbox's days before the first event: one that is written while its day is made would fail."""
    with suppress(Unavailable):  # another replica is at it
        await _keep(db, clock)


async def _keep(db: Database, clock: Clock) -> None:
    """Keeps the outbox's days ahead and behind."""
    await outbox.maintain(db, now=clock.now())
