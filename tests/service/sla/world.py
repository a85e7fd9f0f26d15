"""An SLA service to talk to: events go in by the broker, figures come out by gRPC."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import nats
from google.protobuf.message import Message
from nats.js import JetStreamContext

from chassis.auth import mint
from chassis.bus import Bus, Received
from chassis.client import channel
from chassis.db import Database
from cli.stack.nats import Nats
from services.sla.config import Config
from services.sla.main import build
from tests.fixtures.eventually import PATIENCE, eventually
from tests.fixtures.postgres import TestDatabase
from tests.unit.sla.histories import History
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

KEY = "a-key-only-for-tests-0123456789abcdef"
STREAMS = {"TOCSIN_ALERT": "alert.>", "TOCSIN_NOTIFICATION": "notification.>"}


@dataclass
class World:
    """One broker with the other services' streams, one database, and replicas of the service on them."""

    database: TestDatabase
    broker: Nats
    db: Database
    js: JetStreamContext
    stubs: list[sla_service_pb2_grpc.SlaServiceStub]
    lives: list[AsyncExitStack]
    address: str = ""

    @property
    def sla(self) -> sla_service_pb2_grpc.SlaServiceStub:
        """The first replica's methods."""
        return self.stubs[0]

    async def replica(self, *scopes: str) -> sla_service_pb2_grpc.SlaServiceStub:
        """Starts one more replica; its methods, called with the scopes or those of a reader and writer."""
        config = Config(token_key=KEY, database_url=self.database.url("sla"), nats_url=self.broker.url("sla"))
        life = AsyncExitStack()
        self.lives.append(life)
        service = await life.enter_async_context(build(config))
        self.address = service.address
        wire = await self.wire(*scopes or ("sla:read", "sla:write"))
        self.stubs.append(sla_service_pb2_grpc.SlaServiceStub(wire))
        return self.stubs[-1]

    async def wire(self, *scopes: str) -> grpc.aio.Channel:
        """A channel to the newest replica, with a token of these scopes."""
        made = channel(
            self.address,
            token=mint(KEY, subject="alice", scopes=scopes),
            deadline=timedelta(seconds=PATIENCE),
        )
        self.lives[-1].push_async_callback(made.close)
        return made

    async def stop(self) -> None:
        """Stops every replica in good order."""
        while self.lives:
            self.stubs.pop()
            await self.lives.pop().aclose()

    async def publish(self, events: Iterable[Received]) -> None:
        """Publishes the events as their services' relays do; the broker drops repeats, so each gets an id of its own."""
        for event in events:
            headers = {
                "ce-specversion": "1.0",
                "ce-id": str(event.id),
                "ce-source": "/tocsin/test",
                "ce-type": event.type,
                "ce-subject": event.subject,
            }
            await self.js.publish(event.type, event.data, headers=headers)

    async def overview(self, **request: Any) -> sla_pb2.Overview:
        """The figures that the first replica answers."""
        return await self.sla.GetOverview(sla_service_pb2.GetOverviewRequest(**request))

    async def tell(self, *histories: History) -> None:
        """Publishes everything that happened and waits until it is taken in."""
        events = [event for history in histories for event in history.events]
        await self.publish(events)
        await self.taken(events)

    async def taken(self, events: Sequence[Received]) -> None:
        """Waits until the service has recorded the events."""
        wanted = {str(event.id) for event in events}

        async def recorded() -> bool:
            return wanted <= set(await self.rows("select event_id::text from inbox"))

        await eventually(recorded)

    async def rows(self, query: str) -> list[Any]:
        """The first column of a query on the service's schema."""
        async with self.db.raw() as conn:
            found = await conn.execute(query.encode())
            return [row[0] for row in await found.fetchall()]

    async def run(self, statement: str) -> None:
        """Runs a statement on the service's schema."""
        async with self.db.raw() as conn:
            await conn.execute(statement.encode())


@asynccontextmanager
async def world_of(database: TestDatabase, broker: Nats) -> AsyncIterator[World]:
    """The streams that the other services own, and one replica."""
    async with AsyncExitStack() as stack:
        bus = Bus(broker.url(), name="tocsin")
        stack.push_async_callback(bus.close)
        await bus.connect()
        for name, subject in STREAMS.items():
            await bus.ensure_stream(name, [subject])
        client = await nats.connect(broker.url())
        stack.push_async_callback(client.close)
        db = Database(database.url("sla"), name="sla", size=2)
        stack.push_async_callback(db.close)
        await db.open()
        made = World(database, broker, db, client.jetstream(), [], [])
        stack.push_async_callback(made.stop)
        await made.replica()
        yield made


def credentials(*scopes: str) -> list[tuple[str, str]]:
    """The metadata of a call with these scopes: a channel adds it to calls that answer once alone."""
    return [("authorization", f"Bearer {mint(KEY, subject='alice', scopes=scopes)}")]


def unset(message: Message) -> bool:
    """Whether nothing in the message is set."""
    return not message.ListFields()
