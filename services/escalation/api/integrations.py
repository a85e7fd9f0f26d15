"""IntegrationService, the part that configures: unpack, one transaction, pack."""

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Invalid, NotFound
from chassis.server import Context
from services.escalation.api.changes import RuleChanges
from services.escalation.convert import integrations as convert
from services.escalation.domain.integration import (
    INTEGRATIONS,
    Integration,
    hashed,
    new_routing_key,
    revoked,
    rotated,
)
from services.escalation.storage import noise
from services.escalation.storage import rules as storage
from tocsin.escalation.v1 import integration_pb2, integration_service_pb2, integration_service_pb2_grpc


class IntegrationApi(integration_service_pb2_grpc.IntegrationServiceServicer):
    """Integrations; what they send is taken by a subclass."""

    def __init__(self, db: Database, changes: RuleChanges, clock: Clock) -> None:
        self._db = db
        self._changes = changes
        self._clock = clock

    async def CreateIntegration(
        self, request: integration_service_pb2.CreateIntegrationRequest, _: Context
    ) -> integration_pb2.Integration:
        routing_key, now = new_routing_key(), self._clock.now()
        made = convert.integration(
            request.integration,
            request_id=request.request_id,
            routing_key_sha256=hashed(routing_key),
            now=now,
        )
        async with self._changes.adding(made.team_id) as conn:
            kept = await storage.INTEGRATIONS.create(conn, made, request.request_id)
            if kept is made:
                await self._check_policy(conn, made.policy_id)
        return convert.integration_message(kept, now, routing_key=routing_key if kept is made else "")

    async def _check_policy(self, conn: AsyncConnection, policy_id: str) -> None:
        if not policy_id:
            return
        try:
            await storage.POLICIES.get(conn, policy_id)
        except NotFound as error:
            raise Invalid.field("policy_id", error.message) from None

    async def GetIntegration(
        self, request: integration_service_pb2.GetIntegrationRequest, _: Context
    ) -> integration_pb2.Integration:
        async with self._db.connect() as conn:
            kept = await storage.INTEGRATIONS.get(conn, request.integration_id)
        return convert.integration_message(kept, self._clock.now())

    async def ListIntegrations(
        self, request: integration_service_pb2.ListIntegrationsRequest, _: Context
    ) -> integration_service_pb2.ListIntegrationsResponse:
        limit, after = paging.size(request.page_size), paging.after(request.page_token, 1)
        async with self._db.connect() as conn:
            found = await storage.INTEGRATIONS.page(conn, after=after[0] if after else "", limit=limit + 1)
        shown, token = paging.page(
            found, limit, [found[limit - 1].integration_id] if len(found) > limit else []
        )
        now = self._clock.now()
        return integration_service_pb2.ListIntegrationsResponse(
            integrations=[convert.integration_message(one, now) for one in shown], next_page_token=token
        )

    async def DeleteIntegration(
        self, request: integration_service_pb2.DeleteIntegrationRequest, _: Context
    ) -> Empty:
        async with self._changes.editing(storage.INTEGRATIONS, request.integration_id) as (conn, _old):
            await storage.INTEGRATIONS.delete(conn, request.integration_id)
        return Empty()

    async def UpdateIntegration(
        self, request: integration_service_pb2.UpdateIntegrationRequest, _: Context
    ) -> integration_pb2.Integration:
        def edited(old: Integration) -> Integration:
            return convert.changed_integration(old, request.integration, request.update_mask)

        key = request.integration.integration_id
        async with self._changes.editing(storage.INTEGRATIONS, key, edited) as (conn, old):
            made = edited(old)
            await storage.INTEGRATIONS.replace(conn, made)
            await self._check_policy(conn, made.policy_id)
            if made.auto_close_after not in (None, old.auto_close_after):
                await noise.review(conn, INTEGRATIONS + made.integration_id, self._clock.now())
        return convert.integration_message(made, self._clock.now())

    async def RotateIntegrationKey(
        self, request: integration_service_pb2.RotateIntegrationKeyRequest, _: Context
    ) -> integration_pb2.Integration:
        routing_key, grace, now = new_routing_key(), convert.grace(request), self._clock.now()
        async with self._changes.editing(storage.INTEGRATIONS, request.integration_id) as (conn, old):
            made = rotated(old, routing_key, grace, now)
            await storage.INTEGRATIONS.replace(conn, made)
        return convert.integration_message(made, now, routing_key=routing_key)

    async def RevokePreviousKey(
        self, request: integration_service_pb2.RevokePreviousKeyRequest, _: Context
    ) -> integration_pb2.Integration:
        async with self._changes.editing(storage.INTEGRATIONS, request.integration_id) as (conn, old):
            made = revoked(old)
            await storage.INTEGRATIONS.replace(conn, made)
        return convert.integration_message(made, self._clock.now())
