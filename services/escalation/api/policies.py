"""PolicyService: unpack, one transaction, pack."""

from google.protobuf.empty_pb2 import Empty

from chassis import paging, wire
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import Conflict
from chassis.server import Context
from services.escalation.api.changes import RuleChanges
from services.escalation.convert import planning
from services.escalation.convert import rules as convert
from services.escalation.domain.policy import EscalationPolicy, deletable
from services.escalation.planning import Planning
from services.escalation.storage import rules as storage
from tocsin.escalation.v1 import policy_pb2, policy_service_pb2, policy_service_pb2_grpc

SHOWN = 10
"""How many users of a policy its refusal names."""


class PolicyApi(policy_service_pb2_grpc.PolicyServiceServicer):
    """Escalation policies."""

    def __init__(
        self,
        *,
        db: Database,
        changes: RuleChanges,
        clock: Clock,
        planning: Planning,
    ) -> None:
        self._db = db
        self._planning = planning
        self._changes = changes
        self._clock = clock

    async def CreateEscalationPolicy(
        self, request: policy_service_pb2.CreateEscalationPolicyRequest, _: Context
    ) -> policy_pb2.EscalationPolicy:
        policy = convert.policy(
            request.escalation_policy, request_id=request.request_id, now=self._clock.now()
        )
        async with self._changes.adding(policy.team_id) as conn:
            policy = await storage.POLICIES.create(conn, policy, request.request_id)
        return convert.policy_message(policy)

    async def GetEscalationPolicy(
        self, request: policy_service_pb2.GetEscalationPolicyRequest, _: Context
    ) -> policy_pb2.EscalationPolicy:
        async with self._db.connect() as conn:
            return convert.policy_message(await storage.POLICIES.get(conn, request.policy_id))

    async def ListEscalationPolicies(
        self, request: policy_service_pb2.ListEscalationPoliciesRequest, _: Context
    ) -> policy_service_pb2.ListEscalationPoliciesResponse:
        limit, after = paging.size(request.page_size), paging.after(request.page_token, 1)
        async with self._db.connect() as conn:
            found = await storage.POLICIES.page(conn, after=after[0] if after else "", limit=limit + 1)
        shown, token = paging.page(found, limit, [found[limit - 1].policy_id] if len(found) > limit else [])
        return policy_service_pb2.ListEscalationPoliciesResponse(
            escalation_policies=map(convert.policy_message, shown), next_page_token=token
        )

    async def UpdateEscalationPolicy(
        self, request: policy_service_pb2.UpdateEscalationPolicyRequest, _: Context
    ) -> policy_pb2.EscalationPolicy:
        wanted = request.escalation_policy

        def edited(old: EscalationPolicy) -> EscalationPolicy:
            return convert.changed_policy(old, wanted, request.update_mask, now=self._clock.now())

        async with self._changes.editing(storage.POLICIES, wanted.policy_id, edited) as (conn, old):
            policy = edited(old)
            await storage.POLICIES.replace(conn, policy)
        return convert.policy_message(policy)

    async def DeleteEscalationPolicy(
        self, request: policy_service_pb2.DeleteEscalationPolicyRequest, _: Context
    ) -> Empty:
        deletable(request.policy_id)
        async with self._changes.editing(storage.POLICIES, request.policy_id) as (conn, _old):
            await storage.POLICIES.delete(conn, request.policy_id)
            if users := await storage.users_of(conn, request.policy_id):
                raise Conflict(
                    f"the policy {request.policy_id!r} is used by {', '.join(users[:SHOWN])}"
                    + (f" and {len(users) - SHOWN} more" if len(users) > SHOWN else ""),
                    reason="POLICY_IN_USE",
                )
        return Empty()

    async def PreviewEscalationPolicy(
        self, request: policy_service_pb2.PreviewEscalationPolicyRequest, _: Context
    ) -> policy_service_pb2.PreviewEscalationPolicyResponse:
        if alert_id := planning.alert_of(request):
            plan = await self._planning.rest(alert_id)
        else:
            report, start = planning.report(request)
            plan = await self._planning.opening(report, request.policy_id, start)
        return policy_service_pb2.PreviewEscalationPolicyResponse(
            policy_id=plan.policy_id,
            pages=map(planning.page_message, plan.pages),
            quiet_times=map(planning.quiet_time_message, plan.quiet_times),
            exhausted_at=wire.timestamp(plan.exhausted_at),
            start=wire.timestamp(plan.start),
            cut_at=wire.timestamp(plan.cut_at),
        )
