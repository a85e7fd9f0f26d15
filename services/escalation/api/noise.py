"""NoiseService: silences, aggregation and inhibition rules; unpack, one transaction, pack."""

from collections.abc import Collection
from datetime import datetime

from google.protobuf.empty_pb2 import Empty
from sqlalchemy.ext.asyncio import AsyncConnection

from chassis import auth, paging
from chassis.clock import Clock
from chassis.db import Database
from chassis.server import Context
from services.escalation.api.changes import RuleChanges
from services.escalation.convert import noise as convert
from services.escalation.domain.alert import SILENCES
from services.escalation.domain.noise import AGGREGATIONS, INHIBITIONS, AggregationRule, InhibitionRule
from services.escalation.domain.silence import SilenceRule, SilenceState, expire
from services.escalation.storage import rules as storage
from services.escalation.storage.noise import forget_sources
from tocsin.escalation.v1 import noise_pb2, noise_service_pb2, noise_service_pb2_grpc


class NoiseApi(noise_service_pb2_grpc.NoiseServiceServicer):
    """Silences, aggregation and inhibition rules."""

    def __init__(self, db: Database, changes: RuleChanges, clock: Clock) -> None:
        self._db = db
        self._changes = changes
        self._clock = clock

    async def CreateSilenceRule(
        self, request: noise_service_pb2.CreateSilenceRuleRequest, _: Context
    ) -> noise_pb2.SilenceRule:
        now = self._clock.now()
        rule = convert.silence(
            request.silence_rule, request_id=request.request_id, created_by=auth.caller().subject, now=now
        )
        review = SILENCES + rule.silence_rule_id
        async with self._changes.adding(rule.team_id, review=review, at=rule.changes_at(now) and now) as conn:
            rule = await storage.SILENCES.create(conn, rule, request.request_id)
        return convert.silence_message(rule, now)

    async def GetSilenceRule(
        self, request: noise_service_pb2.GetSilenceRuleRequest, _: Context
    ) -> noise_pb2.SilenceRule:
        async with self._db.connect() as conn:
            rule = await storage.SILENCES.get(conn, request.silence_rule_id)
        return convert.silence_message(rule, self._clock.now())

    async def ListSilenceRules(
        self, request: noise_service_pb2.ListSilenceRulesRequest, _: Context
    ) -> noise_service_pb2.ListSilenceRulesResponse:
        now = self._clock.now()
        limit, after = paging.size(request.page_size), paging.after(request.page_token, 1)
        wanted = convert.silence_states(request)
        async with self._db.connect() as conn:
            found = await _in_states(conn, wanted, now, after=after[0] if after else "", limit=limit + 1)
        shown, token = paging.page(
            found, limit, [found[limit - 1].silence_rule_id] if len(found) > limit else []
        )
        return noise_service_pb2.ListSilenceRulesResponse(
            silence_rules=[convert.silence_message(rule, now) for rule in shown], next_page_token=token
        )

    async def DeleteSilenceRule(
        self, request: noise_service_pb2.DeleteSilenceRuleRequest, _: Context
    ) -> Empty:
        review = SILENCES + request.silence_rule_id
        async with self._changes.editing(
            storage.SILENCES, request.silence_rule_id, review=review, at=self._clock.now()
        ) as (conn, old):
            await storage.SILENCES.delete(conn, old.silence_rule_id)
        return Empty()

    async def ExpireSilenceRule(
        self, request: noise_service_pb2.ExpireSilenceRuleRequest, _: Context
    ) -> noise_pb2.SilenceRule:
        now, key = self._clock.now(), request.silence_rule_id
        async with self._changes.editing(storage.SILENCES, key, review=SILENCES + key, at=now) as (conn, old):
            rule = expire(old, now)
            await storage.SILENCES.replace(conn, rule)
        return convert.silence_message(rule, now)

    async def CreateAggregationRule(
        self, request: noise_service_pb2.CreateAggregationRuleRequest, _: Context
    ) -> noise_pb2.AggregationRule:
        rule = convert.aggregation(
            request.aggregation_rule, request_id=request.request_id, now=self._clock.now()
        )
        async with self._changes.adding(rule.team_id) as conn:
            rule = await storage.AGGREGATIONS.create(conn, rule, request.request_id)
        return convert.aggregation_message(rule)

    async def GetAggregationRule(
        self, request: noise_service_pb2.GetAggregationRuleRequest, _: Context
    ) -> noise_pb2.AggregationRule:
        async with self._db.connect() as conn:
            return convert.aggregation_message(
                await storage.AGGREGATIONS.get(conn, request.aggregation_rule_id)
            )

    async def ListAggregationRules(
        self, request: noise_service_pb2.ListAggregationRulesRequest, _: Context
    ) -> noise_service_pb2.ListAggregationRulesResponse:
        limit, after = paging.size(request.page_size), paging.after(request.page_token, 1)
        async with self._db.connect() as conn:
            found = await storage.AGGREGATIONS.page(conn, after=after[0] if after else "", limit=limit + 1)
        shown, token = paging.page(
            found, limit, [found[limit - 1].aggregation_rule_id] if len(found) > limit else []
        )
        return noise_service_pb2.ListAggregationRulesResponse(
            aggregation_rules=map(convert.aggregation_message, shown), next_page_token=token
        )

    async def UpdateAggregationRule(
        self, request: noise_service_pb2.UpdateAggregationRuleRequest, _: Context
    ) -> noise_pb2.AggregationRule:
        def edited(old: AggregationRule) -> AggregationRule:
            return convert.changed_aggregation(old, request.aggregation_rule, request.update_mask)

        key = request.aggregation_rule.aggregation_rule_id
        async with self._changes.editing(
            storage.AGGREGATIONS, key, edited, review=AGGREGATIONS + key, at=self._clock.now()
        ) as (conn, old):
            rule = edited(old)
            await storage.AGGREGATIONS.replace(conn, rule)
        return convert.aggregation_message(rule)

    async def DeleteAggregationRule(
        self, request: noise_service_pb2.DeleteAggregationRuleRequest, _: Context
    ) -> Empty:
        key = request.aggregation_rule_id
        async with self._changes.editing(
            storage.AGGREGATIONS, key, review=AGGREGATIONS + key, at=self._clock.now()
        ) as (conn, _old):
            await storage.AGGREGATIONS.delete(conn, key)
        return Empty()

    async def CreateInhibitionRule(
        self, request: noise_service_pb2.CreateInhibitionRuleRequest, _: Context
    ) -> noise_pb2.InhibitionRule:
        now = self._clock.now()
        rule = convert.inhibition(request.inhibition_rule, request_id=request.request_id, now=now)
        review = INHIBITIONS + rule.inhibition_rule_id
        async with self._changes.adding(rule.team_id, review=review, at=now) as conn:
            rule = await storage.INHIBITIONS.create(conn, rule, request.request_id)
        return convert.inhibition_message(rule)

    async def GetInhibitionRule(
        self, request: noise_service_pb2.GetInhibitionRuleRequest, _: Context
    ) -> noise_pb2.InhibitionRule:
        async with self._db.connect() as conn:
            return convert.inhibition_message(await storage.INHIBITIONS.get(conn, request.inhibition_rule_id))

    async def ListInhibitionRules(
        self, request: noise_service_pb2.ListInhibitionRulesRequest, _: Context
    ) -> noise_service_pb2.ListInhibitionRulesResponse:
        limit, after = paging.size(request.page_size), paging.after(request.page_token, 1)
        async with self._db.connect() as conn:
            found = await storage.INHIBITIONS.page(conn, after=after[0] if after else "", limit=limit + 1)
        shown, token = paging.page(
            found, limit, [found[limit - 1].inhibition_rule_id] if len(found) > limit else []
        )
        return noise_service_pb2.ListInhibitionRulesResponse(
            inhibition_rules=map(convert.inhibition_message, shown), next_page_token=token
        )

    async def UpdateInhibitionRule(
        self, request: noise_service_pb2.UpdateInhibitionRuleRequest, _: Context
    ) -> noise_pb2.InhibitionRule:
        def edited(old: InhibitionRule) -> InhibitionRule:
            return convert.changed_inhibition(old, request.inhibition_rule, request.update_mask)

        key = request.inhibition_rule.inhibition_rule_id
        async with self._changes.editing(
            storage.INHIBITIONS, key, edited, review=INHIBITIONS + key, at=self._clock.now()
        ) as (conn, old):
            rule = edited(old)
            await storage.INHIBITIONS.replace(conn, rule)
            await forget_sources(conn, key)
        return convert.inhibition_message(rule)

    async def DeleteInhibitionRule(
        self, request: noise_service_pb2.DeleteInhibitionRuleRequest, _: Context
    ) -> Empty:
        key = request.inhibition_rule_id
        async with self._changes.editing(
            storage.INHIBITIONS, key, review=INHIBITIONS + key, at=self._clock.now()
        ) as (conn, _old):
            await storage.INHIBITIONS.delete(conn, key)
            await forget_sources(conn, key)
        return Empty()


async def _in_states(
    conn: AsyncConnection, states: Collection[SilenceState], now: datetime, *, after: str, limit: int
) -> list[SilenceRule]:
    """Up to `limit` silences in these states, all for none, in the order of their ids, from the first after `after` on."""
    where, found = storage.in_states(states, now), list[SilenceRule]()
    while True:
        rules = await storage.SILENCES.page(conn, after=after, limit=limit, where=where)
        found += [rule for rule in rules if not states or rule.state(now) in states]
        if len(rules) < limit or len(found) >= limit:
            return found[:limit]
        after = rules[-1].silence_rule_id
