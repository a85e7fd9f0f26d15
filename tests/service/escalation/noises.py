"""Noise rules for tests, made through the API, and what is waited for after them."""

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration

from chassis import wire
from tests.fixtures.eventually import eventually
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.noise_pb2 import AggregationRule, InhibitionRule, Recurrence, SilenceRule
from tocsin.escalation.v1.noise_service_pb2 import (
    CreateAggregationRuleRequest,
    CreateInhibitionRuleRequest,
    CreateSilenceRuleRequest,
    ExpireSilenceRuleRequest,
)

HOUR = timedelta(hours=1)


async def silence(
    stage: World,
    name: str,
    *matchers: str,
    start: datetime | None = None,
    lasts: timedelta = HOUR,
    every: str = "",
) -> SilenceRule:
    """Silences what matches from now, or from `start`, for a time; with a rule for so long each day of it."""
    begin = start or stage.now
    rule = SilenceRule(silence_rule_id=name, matchers=matchers, starts_at=wire.timestamp(begin))
    if every:
        rule.recurrence.CopyFrom(
            Recurrence(rrule=every, time_zone="Europe/Berlin", duration=wire.duration(lasts))
        )
    else:
        rule.ends_at.FromDatetime(begin + lasts)
    return await stage.here.noise.CreateSilenceRule(CreateSilenceRuleRequest(silence_rule=rule))


async def expire(stage: World, name: str) -> None:
    """Ends a silence."""
    await stage.here.noise.ExpireSilenceRule(ExpireSilenceRuleRequest(silence_rule_id=name))


async def aggregate(stage: World, name: str, *matchers: str, by: tuple[str, ...] = ()) -> AggregationRule:
    """Puts what matches behind the first of its group, for a minute."""
    rule = AggregationRule(
        aggregation_rule_id=name, matchers=matchers, group_by=by, window=Duration(seconds=60)
    )
    return await stage.here.noise.CreateAggregationRule(CreateAggregationRuleRequest(aggregation_rule=rule))


async def inhibit(stage: World, name: str, source: str, target: str, *equal: str) -> InhibitionRule:
    """Keeps targets quiet while a source fires."""
    rule = InhibitionRule(
        inhibition_rule_id=name, source_matchers=[source], target_matchers=[target], equal=equal
    )
    return await stage.here.noise.CreateInhibitionRule(CreateInhibitionRuleRequest(inhibition_rule=rule))


async def becomes(stage: World, alert: Alert, state: Alert.State.ValueType, by: str = "") -> Alert:
    """Waits until the alert is in a state, kept quiet by that or by nothing."""

    async def so() -> Alert:
        now = await stage.here.get(alert)
        assert (now.state, now.suppressed_by) == (state, by), now
        return now

    return await eventually(so)


async def reviewed(stage: World) -> None:
    """Waits until no review is due: what rules keep quiet, and what they do not, has been decided."""

    async def none_due() -> bool:
        return not await stage.rows(
            "select 1 from reviews where ready_at <= %s or claim is not null", stage.now
        )

    await eventually(none_due)
