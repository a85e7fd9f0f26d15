"""The rules half of the escalation service as its callers see it: real Postgres, real gRPC, any number of replicas."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

from chassis.auth import Verifier, mint, scopes_of
from chassis.client import channel
from chassis.clock import Clock
from chassis.db import Database
from chassis.server import Context, Server
from chassis.snapshot import Snapshot
from chassis.wake import Wakeups
from services.escalation.api.integrations import IntegrationApi
from services.escalation.api.noise import NoiseApi
from services.escalation.api.policies import PolicyApi
from services.escalation.domain.rules import Rules
from services.escalation.storage import rules as storage
from tests.fixtures.postgres import TestDatabase
from tocsin.escalation.v1 import (
    integration_service_pb2,
    integration_service_pb2_grpc,
    noise_service_pb2,
    noise_service_pb2_grpc,
    policy_service_pb2,
    policy_service_pb2_grpc,
)
from tocsin.options.v1 import options_pb2

KEY = "a-key-only-for-tests-0123456789abcdef"
SERVICES = [
    policy_service_pb2.DESCRIPTOR.services_by_name["PolicyService"],
    noise_service_pb2.DESCRIPTOR.services_by_name["NoiseService"],
    integration_service_pb2.DESCRIPTOR.services_by_name["IntegrationService"],
]


class Configured(IntegrationApi):
    """Integrations that nothing comes in by."""

    async def IngestSignals(
        self, request: integration_service_pb2.IngestSignalsRequest, context: Context
    ) -> integration_service_pb2.IngestSignalsResponse:
        raise AssertionError("nothing is sent here")


@dataclass(frozen=True, slots=True)
class Desk:
    """One replica: its services, called as `alice`, the rules that it follows, its clock and its database."""

    policies: policy_service_pb2_grpc.PolicyServiceStub
    noise: noise_service_pb2_grpc.NoiseServiceStub
    integrations: integration_service_pb2_grpc.IntegrationServiceStub
    rules: Snapshot[Rules]
    clock: Clock
    db: Database
    address: str


@asynccontextmanager
async def desk(
    database: TestDatabase, *, scopes: tuple[str, ...] = ("policies:read", "policies:write")
) -> AsyncIterator[Desk]:
    """Serves until the end of the block. The rules are polled once a minute: what is fresher was woken."""
    db, clock = Database(database.url("escalation"), name="escalation"), Clock()
    rules = Snapshot("rules", storage.load, db, poll=timedelta(minutes=1), version=storage.version)
    wakeups = Wakeups(db)
    wakeups.on(storage.CHANNEL, rules.wake)
    server = Server(
        listen="127.0.0.1:0", verifier=Verifier(KEY), scopes=scopes_of(SERVICES, options_pb2.scope)
    )
    policy_service_pb2_grpc.add_PolicyServiceServicer_to_server(
        PolicyApi(db, rules, wakeups, clock), server.grpc
    )
    noise_service_pb2_grpc.add_NoiseServiceServicer_to_server(
        NoiseApi(db, rules, wakeups, clock), server.grpc
    )
    integration_service_pb2_grpc.add_IntegrationServiceServicer_to_server(
        Configured(db, rules, wakeups, clock), server.grpc
    )
    await db.open()
    await clock.sync(db)
    await rules.refresh()
    await server.start()
    loops = [asyncio.create_task(wakeups.run()), asyncio.create_task(rules.run())]
    wire = channel(server.address, token=mint(KEY, subject="alice", scopes=scopes))
    yield Desk(
        policy_service_pb2_grpc.PolicyServiceStub(wire),
        noise_service_pb2_grpc.NoiseServiceStub(wire),
        integration_service_pb2_grpc.IntegrationServiceStub(wire),
        rules,
        clock,
        db,
        server.address,
    )
    await wire.close()
    await server.drain(timedelta())
    for loop in loops:
        loop.cancel()
        with suppress(asyncio.CancelledError):
            await loop
    await db.close()
