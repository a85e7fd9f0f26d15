"""Notify, wired by hand: read it from top to bottom."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from chassis.auth import mint, scopes_of
from chassis.bus import Bus
from chassis.clock import Clock
from chassis.db import Database
from chassis.inbox import Consumer
from chassis.loop import DueLoop
from chassis.outbox import maintain
from chassis.process import Running, running
from chassis.relay import Relay
from chassis.server import Server
from chassis.snapshot import Snapshot
from chassis.tls import Tls
from chassis.wake import Wakeups
from identity import audit_api
from identity.follower import Follower
from identity.gate import Gate
from identity.scopes import SERVICE
from messaging import api as messaging_api
from messaging import gauges, waiting
from messaging.epochs import Epochs
from messaging.waiting import Bypass
from services.notify import consumer
from services.notify.acknowledger import Acknowledger
from services.notify.api.contact_method_input import Input
from services.notify.api.contact_methods import ContactMethodApi
from services.notify.api.feed import Feed
from services.notify.api.inbox import InboxApi
from services.notify.api.message_templates import MessageTemplateApi
from services.notify.api.pages import PageApi
from services.notify.api.receipts import Receipts
from services.notify.api.rotation import Rotation
from services.notify.api.routes import RouteApi
from services.notify.api.trials import Trials
from services.notify.api.unreachable import Reach
from services.notify.api.verifications import Verifications
from services.notify.channels.chat import Chats
from services.notify.channels.email import Emails
from services.notify.channels.webhook import Webhooks
from services.notify.channels.wording import Wording
from services.notify.clients import Escalation, Roster
from services.notify.config import Config
from services.notify.deliverer.admission import Admission
from services.notify.deliverer.failover import FailOvers
from services.notify.deliverer.hush import Hush
from services.notify.deliverer.leases import Leases
from services.notify.deliverer.loop import Deliverer
from services.notify.deliverer.messages import Messages
from services.notify.deliverer.outcomes import Outcomes
from services.notify.domain.contact_method import Channel
from services.notify.domain.delivery import Sender
from services.notify.domain.link import Links
from services.notify.domain.networks import Networks
from services.notify.domain.sealing import Sealer
from services.notify.domain.vault import Vault
from services.notify.resealer import Resealer
from services.notify.retention import Retention
from services.notify.storage import message_templates
from tocsin.notify.v1 import (
    audit_service_pb2,
    audit_service_pb2_grpc,
    contact_method_service_pb2,
    contact_method_service_pb2_grpc,
    inbox_service_pb2,
    inbox_service_pb2_grpc,
    messaging_service_pb2,
    messaging_service_pb2_grpc,
    page_service_pb2,
    page_service_pb2_grpc,
    route_service_pb2,
    route_service_pb2_grpc,
    template_service_pb2,
    template_service_pb2_grpc,
)
from tocsin.options.v1 import options_pb2

STREAM, SUBJECTS = "TOCSIN_NOTIFICATION", ("notification.>",)
INBOX_CHANNEL, TEMPLATES_CHANNEL = "notify_inbox", "notify_templates"
SYNC, MAINTAIN = timedelta(seconds=30), timedelta(hours=1)
WAITING = {
    "due_timer": "select min(due_at) from acknowledgements where due_at is not null",
    "unsent_page": "select min(due_at) from route_logs where status = 'PENDING'",
}
SERVICES = (
    *audit_service_pb2.DESCRIPTOR.services_by_name.values(),
    *messaging_service_pb2.DESCRIPTOR.services_by_name.values(),
    *contact_method_service_pb2.DESCRIPTOR.services_by_name.values(),
    *inbox_service_pb2.DESCRIPTOR.services_by_name.values(),
    *page_service_pb2.DESCRIPTOR.services_by_name.values(),
    *route_service_pb2.DESCRIPTOR.services_by_name.values(),
    *template_service_pb2.DESCRIPTOR.services_by_name.values(),
)


@asynccontextmanager
async def build(
    config: Config, *, clock: Clock | None = None, webhooks: Webhooks | None = None
) -> AsyncIterator[Running]:
    """Wires the service; the process and the tests call this same function, tests with a clock or channel of theirs."""
    tls = Tls.of(config)
    db = Database(config.database_url, name="notify", size=config.database_pool)
    bus = Bus(config.nats_url, name="notify")
    clock = clock or Clock()
    wakeups = Wakeups(db)
    relay = Relay(db, bus, stream=STREAM, source="/tocsin/notify")
    keys = Follower(config, subject="notify", tls=tls)
    gate = Gate(config, keys=keys)
    server = Server(
        listen=config.listen,
        verifier=gate,
        scopes=scopes_of(SERVICES, options_pb2.scope),
        tls=tls,
        implementation=config.grpc_server,
    )
    networks = Networks(config.webhook_allow.split(","))
    links = Links(key=config.receipt_key.encode(), public_url=config.public_url)
    vault = Vault(Sealer(config.secrets_key))
    templates = Snapshot("message-templates", message_templates.every, db)
    wakeups.on(TEMPLATES_CHANNEL, templates.wake)
    wording = Wording(lambda: templates.value)
    webhooks = webhooks or Webhooks(networks=networks, now=clock.now)
    chats = Chats(networks=networks, write=wording.writer(Channel.CHAT), now=clock.now)
    channels: dict[Channel, Sender] = {Channel.WEBHOOK: webhooks, Channel.CHAT: chats}
    closing = [webhooks.close, chats.close]
    if (server_of_mail := config.mail_server()) is not None:
        emails = Emails(server_of_mail, write=wording.writer(Channel.EMAIL), now=clock.now)
        channels[Channel.EMAIL] = emails
        closing.append(emails.close)
    token = mint(
        config.token_key, subject="notify", scopes=["alerts:read", "alerts:write", "act-as", SERVICE]
    )
    escalation = Escalation(config.escalation_address, token=token, tls=tls)

    roster = Roster(
        config.roster_address,
        token=mint(config.token_key, subject="notify", scopes=["roster:read"]),
        tls=tls,
    )
    reach = Reach(db=db, clock=clock, roster=roster)
    resealer = Resealer(db=db, clock=clock, vault=vault)

    leases = Leases(db, clock)
    fail_overs = FailOvers(db=db, clock=clock, used=lambda: deliverer.wake(), after=relay.wake)
    outcomes = Outcomes(db, clock, after=relay.wake, failed=fail_overs.wake)
    admission = Admission(db, clock, per_minute=config.person_per_minute)
    deliverer = Deliverer(
        db=db,
        clock=clock,
        channels=channels,
        outcomes=outcomes,
        messages=Messages(links=links, vault=vault),
        leases=leases,
        admission=admission,
        hush=Hush(failed=fail_overs.wake),
    )
    acknowledger = Acknowledger(db=db, clock=clock, escalation=escalation)
    receipts = Receipts(
        db=db,
        clock=clock,
        acknowledge=acknowledger.acknowledge,
        after=relay.wake,
        failed=fail_overs.wake,
    )
    feed = Feed(db, ended=server.draining)
    telling = DueLoop("tell-replicas", lambda: wakeups.notify(INBOX_CHANNEL), poll=MAINTAIN)
    wakeups.on(INBOX_CHANNEL, feed.wake)

    def accepted() -> None:
        deliverer.wake()
        feed.wake()
        relay.wake()
        telling.wake()

    contact_method_service_pb2_grpc.add_ContactMethodServiceServicer_to_server(
        ContactMethodApi(
            db=db,
            input_=Input(clock=clock, networks=networks, vault=vault, chats=chats, channels=channels),
            verifications=Verifications(db=db, clock=clock, vault=vault, senders=channels),
            trials=Trials(db=db, clock=clock, accepted=accepted),
            rotation=Rotation(db=db, clock=clock, vault=vault),
            reach=reach,
        ),
        server.grpc,
    )
    audit_service_pb2_grpc.add_AuditServiceServicer_to_server(audit_api.servicer(db), server.grpc)

    async def reworded() -> None:
        await templates.refresh()
        await wakeups.notify(TEMPLATES_CHANNEL)

    template_service_pb2_grpc.add_MessageTemplateServiceServicer_to_server(
        MessageTemplateApi(db=db, clock=clock, changed=reworded), server.grpc
    )
    page_service_pb2_grpc.add_PageServiceServicer_to_server(
        PageApi(db=db, clock=clock, accepted=accepted), server.grpc
    )
    route_service_pb2_grpc.add_RouteServiceServicer_to_server(
        RouteApi(db=db, clock=clock, receipts=receipts, links=links, escalation=escalation), server.grpc
    )
    inbox_service_pb2_grpc.add_InboxServiceServicer_to_server(
        InboxApi(db=db, clock=clock, receipts=receipts, feed=feed), server.grpc
    )
    cancelling = Consumer(
        db=db,
        bus=bus,
        stream=consumer.STREAM,
        durable="notify",
        subjects=consumer.SUBJECTS,
        handle=consumer.Canceller(clock, due=deliverer.wake).handle,
    )
    bypass = Bypass(cancelling, escalation.fetch)
    messaging_service_pb2_grpc.add_MessagingServiceServicer_to_server(
        messaging_api.servicer(db, consumers=[cancelling], wake=relay.wake), server.grpc
    )
    epochs = Epochs(
        db=db, bus=bus, clock=clock, durable="notify", owners={consumer.STREAM: escalation.replay}
    )
    ages = gauges.Gauges("notify", db=db, bus=bus, clock=clock, waiting=WAITING, streams=[consumer.STREAM])
    async with running(
        server=server,
        opening=[
            db.open,
            lambda: clock.sync(db),
            lambda: maintain(db, now=clock.now()),
            bus.connect,
            lambda: bus.ensure_stream(STREAM, SUBJECTS),
            webhooks.open,
            chats.open,
        ],
        loops=[
            keys.run,
            gate.run,
            deliverer.run,
            leases.run,
            fail_overs.run,
            acknowledger.run,
            templates.run,
            resealer.run,
            reach.run,
            feed.run,
            telling.run,
            wakeups.run,
            relay.run,
            cancelling.run,
            *epochs.loops,
            DueLoop("bypass", bypass.work, poll=waiting.POLL).run,
            DueLoop("gauges", ages.work, poll=gauges.POLL).run,
            Retention(db, clock, keep=timedelta(days=config.retention_days)).run,
            DueLoop("clock", lambda: clock.sync(db), poll=SYNC).run,
            DueLoop("maintain", lambda: maintain(db, now=clock.now()), poll=MAINTAIN).run,
        ],
        closing=[deliverer.close, *closing, escalation.close, roster.close, keys.close, bus.close, db.close],
    ) as service:
        yield service
