"""The escalation service, wired by hand: read it from top to bottom."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from chassis import outbox
from chassis.auth import mint, scopes_of
from chassis.bus import Bus, Received
from chassis.clock import Clock
from chassis.db import Database
from chassis.inbox import Consumer
from chassis.loop import DueLoop
from chassis.process import Running, running
from chassis.relay import Relay
from chassis.server import Server
from chassis.snapshot import Snapshot
from chassis.tls import Tls
from chassis.wake import Wakeups
from identity import audit_api
from identity.follower import Follower
from identity.gate import Gate
from messaging import api as messaging_api
from messaging import gauges, waiting
from messaging.epochs import Epochs
from messaging.waiting import Bypass
from services.escalation import handovers, unreached
from services.escalation.api.alerts import AlertApi
from services.escalation.api.changes import RuleChanges
from services.escalation.api.feed import Feed
from services.escalation.api.ingest import IngestingIntegrationApi
from services.escalation.api.noise import NoiseApi
from services.escalation.api.policies import PolicyApi
from services.escalation.clients import Notify, Roster
from services.escalation.config import Config
from services.escalation.coverage import Coverage
from services.escalation.engine import Engine
from services.escalation.foresight import Foresight
from services.escalation.ownership import Ownership
from services.escalation.pager import Pager
from services.escalation.planning import Planning
from services.escalation.reviews import Reviews
from services.escalation.rounds import Rounds
from services.escalation.steps import Steps
from services.escalation.storage import forgetting
from services.escalation.storage import rules as stored
from services.escalation.triggers import Triggers
from services.escalation.verbs import Verbs
from services.escalation.watchdog import Watchdog
from tocsin.escalation.v1 import (
    alert_service_pb2,
    alert_service_pb2_grpc,
    audit_service_pb2,
    audit_service_pb2_grpc,
    integration_service_pb2,
    integration_service_pb2_grpc,
    messaging_service_pb2,
    messaging_service_pb2_grpc,
    noise_service_pb2,
    noise_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from tocsin.options.v1 import options_pb2

STREAM, SUBJECTS, SOURCE = "TOCSIN_ALERT", "alert.>", "/tocsin/escalation"
SERVICES = [
    alert_service_pb2.DESCRIPTOR.services_by_name["AlertService"],
    policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
    noise_service_pb2.DESCRIPTOR.services_by_name["NoiseService"],
    integration_service_pb2.DESCRIPTOR.services_by_name["IntegrationService"],
    audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
    messaging_service_pb2.DESCRIPTOR.services_by_name["MessagingService"],
]
UPKEEP, CLOCK = timedelta(hours=1), timedelta(minutes=1)
WAITING = {
    "due_timer": "select min(ready_at) from timers",
    "unsent_page": "select uuid_extract_timestamp(execution_id) from pages order by execution_id limit 1",
}
DUE = "escalation_due"
"""Where replicas hear that more is due than one of them is just taking."""


@asynccontextmanager
async def build(config: Config, *, clock: Clock | None = None) -> AsyncIterator[Running]:
    """Wires the service; the process and the tests call this same function."""
    clock = clock or Clock()
    tls = Tls.of(config)
    db = Database(config.database_url, name="escalation", size=config.database_pool)
    bus = Bus(config.nats_url, name="escalation")
    token = mint(config.token_key, subject="escalation", scopes=["service", "roster:read"])
    roster, notify = (
        Roster(config.roster_address, token=token, tls=tls),
        Notify(config.notify_address, token=token, tls=tls),
    )
    wakeups = Wakeups(db)
    rules = Snapshot("escalation_rules", stored.load, db, version=stored.version)
    relay = Relay(db, bus, stream=STREAM, source=SOURCE)

    def stepped() -> None:
        feed.wake()
        pager.wake()
        relay.wake()
        engine.wake()

    def changed() -> None:
        feed.wake()
        engine.wake()
        relay.wake()
        if steps.busy:
            announcer.wake()

    def acted() -> None:
        changed()
        reviews.wake()

    changes = RuleChanges(db=db, rules=rules, wakeups=wakeups, ownership=Ownership(roster))
    coverage = Coverage(db=db, roster=roster)
    steps = Steps(db=db, rules=rules, coverage=coverage, clock=clock, committed=stepped)
    foresight = Foresight(db=db, rules=rules, steps=steps, coverage=coverage, clock=clock)
    planning = Planning(db=db, rules=rules, coverage=coverage, roster=roster, clock=clock)
    watchdog = Watchdog(db=db, clock=clock, found=changed)
    engine = Engine(db=db, steps=steps, clock=clock)
    pager = Pager(db=db, notify=notify, clock=clock)
    announcer = DueLoop("announcer", lambda: wakeups.notify(DUE), poll=UPKEEP)
    triggers = Triggers(db=db, rules=rules, clock=clock, committed=changed)
    reviews = Reviews(db=db, rules=rules, clock=clock, committed=changed)
    verbs = Verbs(db=db, clock=clock, committed=acted)
    handing_over = handovers.Handovers(db=db, clock=clock, armed=changed)
    rounds = Rounds(rules=rules, coverage=coverage, clock=clock)

    def handed_over(_: Sequence[Received]) -> None:
        handing_over.wake()
        rounds.hasten()

    arrivals = Consumer(
        db=db,
        bus=bus,
        stream=handovers.STREAM,
        durable="escalation",
        subjects=handovers.SUBJECTS,
        handle=handing_over.handle,
        after=handed_over,
    )
    out_of_reach = Consumer(
        db=db,
        bus=bus,
        stream=unreached.STREAM,
        durable="escalation",
        subjects=unreached.SUBJECTS,
        handle=unreached.Unreached(rules=rules, clock=clock).handle,
        after=lambda _: changed(),
    )
    around = [Bypass(arrivals, roster.fetch), Bypass(out_of_reach, notify.fetch)]
    wakeups.on(stored.CHANNEL, rules.wake)
    wakeups.on(stored.CHANNEL, reviews.wake)
    wakeups.on(DUE, engine.wake)

    keys = Follower(config, subject="escalation", tls=tls)
    gate = Gate(config, keys=keys)
    server = Server(
        listen=config.listen,
        verifier=gate,
        scopes=scopes_of(SERVICES, options_pb2.scope),
        tls=tls,
        implementation=config.grpc_server,
    )
    feed = Feed(db, ended=server.draining)
    alert_service_pb2_grpc.add_AlertServiceServicer_to_server(
        AlertApi(
            db=db, rules=rules, triggers=triggers, verbs=verbs, steps=steps, foresight=foresight, feed=feed
        ),
        server.grpc,
    )
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(audit_api.servicer(db), server.grpc)
    policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(
        PolicyApi(db=db, changes=changes, clock=clock, planning=planning),
        server.grpc,
    )
    noise_service_pb2_grpc.add_NoiseServiceServicer_to_server(NoiseApi(db, changes, clock), server.grpc)
    integration_service_pb2_grpc.add_IntegrationServiceServicer_to_server(
        IngestingIntegrationApi(db, changes, clock, rules=rules, triggers=triggers, verbs=verbs),
        server.grpc,
    )

    async def keep() -> None:
        await outbox.maintain(db, now=clock.now())
        async with db.begin() as conn:
            await forgetting.forget(conn, clock.now())

    messaging_service_pb2_grpc.add_MessagingServiceServicer_to_server(
        messaging_api.servicer(db, consumers=[arrivals, out_of_reach], wake=relay.wake), server.grpc
    )
    epochs = Epochs(
        db=db,
        bus=bus,
        clock=clock,
        durable="escalation",
        owners={handovers.STREAM: roster.replay, unreached.STREAM: notify.replay},
    )
    ages = gauges.Gauges(
        "escalation",
        db=db,
        bus=bus,
        clock=clock,
        waiting=WAITING,
        streams=[handovers.STREAM, unreached.STREAM],
    )
    upkeep = DueLoop("upkeep", keep, poll=UPKEEP)
    timekeeper = DueLoop("clock", lambda: clock.sync(db), poll=CLOCK)
    async with running(
        server=server,
        opening=[
            db.open,
            lambda: clock.sync(db),
            rules.refresh,
            keep,
            bus.connect,
            lambda: bus.ensure_stream(STREAM, [SUBJECTS]),
        ],
        loops=[
            keys.run,
            gate.run,
            wakeups.run,
            rules.run,
            *epochs.loops,
            DueLoop("gauges", ages.work, poll=gauges.POLL).run,
            relay.run,
            *(
                [
                    engine.run,
                    pager.run,
                    announcer.run,
                    reviews.run,
                    handing_over.run,
                    watchdog.run,
                    rounds.run,
                ]
                if config.engine
                else []
            ),
            arrivals.run,
            out_of_reach.run,
            *(DueLoop("bypass", one.work, poll=waiting.POLL).run for one in around),
            upkeep.run,
            timekeeper.run,
        ],
        closing=[triggers.drain, verbs.drain, roster.close, notify.close, keys.close, bus.close, db.close],
    ) as service:
        yield service
