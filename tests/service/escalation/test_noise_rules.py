"""Silences and aggregation rules through the API: in force when answered, by the clock, until they are ended."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis import wire
from chassis.errors import AlreadyExists, Invalid, NotFound
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Severity
from tocsin.escalation.v1.noise_pb2 import AggregationRule, SilenceRule
from tocsin.escalation.v1.noise_service_pb2 import (
    CreateAggregationRuleRequest,
    CreateSilenceRuleRequest,
    DeleteAggregationRuleRequest,
    DeleteSilenceRuleRequest,
    ExpireSilenceRuleRequest,
    GetAggregationRuleRequest,
    GetSilenceRuleRequest,
    ListAggregationRulesRequest,
    ListSilenceRulesRequest,
    UpdateAggregationRuleRequest,
)

HOUR = timedelta(hours=1)
FACTS: Any = {"severity": Severity.CRITICAL, "labels": {"team": "db", "host": "db-1"}}
State = SilenceRule.State


async def silence(
    stage: World, name: str = "", *, start: datetime | None = None, end: datetime, request_id: str = ""
) -> SilenceRule:
    """Silences the database team until `end`."""
    rule = SilenceRule(
        silence_rule_id=name,
        matchers=['team="db"', 'severity=~"CRIT.*"'],
        starts_at=wire.timestamp(start),
        ends_at=wire.timestamp(end),
        comment="upgrade",
    )
    return await stage.here.noise.CreateSilenceRule(
        CreateSilenceRuleRequest(silence_rule=rule, request_id=request_id)
    )


async def read(stage: World, name: str) -> SilenceRule:
    """Reads a silence."""
    return await stage.here.noise.GetSilenceRule(GetSilenceRuleRequest(silence_rule_id=name))


async def listed(stage: World, *states: State.ValueType) -> list[str]:
    """The ids of the silences in these states, in the order of the list."""
    answer = await stage.here.noise.ListSilenceRules(ListSilenceRulesRequest(state=states))
    return [rule.silence_rule_id for rule in answer.silence_rules]


async def silenced_by(stage: World) -> str:
    """What keeps an alert quiet that is triggered now."""
    return (await stage.here.open(**FACTS)).suppressed_by


async def test_a_silence_is_in_force_when_answered(stage: World) -> None:
    """From now on, by the caller, until its end comes."""
    made = await silence(stage, "upgrade", end=stage.now + HOUR)
    assert (made.state, made.created_by, made.comment) == (State.ACTIVE, "tester", "upgrade")
    assert made.starts_at == made.created_at
    assert await silenced_by(stage) == "silence-rules/upgrade"
    stage.advance(hours=1)
    assert await silenced_by(stage) == ""
    assert (await read(stage, "upgrade")).state == State.EXPIRED


async def test_a_silence_waits_for_its_start(stage: World) -> None:
    """It is known before, and needs nobody to begin."""
    now = stage.now
    await silence(stage, "upgrade", start=now + HOUR, end=now + 2 * HOUR)
    assert (await read(stage, "upgrade")).state == State.PENDING
    assert await silenced_by(stage) == ""
    stage.advance(hours=1, seconds=1)  # the replica's clock may be set a little back meanwhile
    assert await silenced_by(stage) == "silence-rules/upgrade"
    assert (await read(stage, "upgrade")).state == State.ACTIVE


async def test_silences_are_listed_by_state(stage: World) -> None:
    """Several states, or all."""
    now = stage.now
    await silence(stage, "past", start=now - 2 * HOUR, end=now - HOUR)
    await silence(stage, "present", end=now + HOUR)
    await silence(stage, "future", start=now + HOUR, end=now + 2 * HOUR)
    assert await listed(stage) == ["future", "past", "present"]
    assert await listed(stage, State.ACTIVE) == ["present"]
    assert await listed(stage, State.PENDING, State.EXPIRED) == ["future", "past"]
    with pytest.raises(Invalid, match=r"state\[0\]"):
        await listed(stage, State.STATE_UNSPECIFIED)


@pytest.mark.parametrize("start", [timedelta(), HOUR])
async def test_an_expired_silence_stays_for_the_record(stage: World, start: timedelta) -> None:
    """Also one that had not begun; expiring it again changes nothing."""
    now = stage.now
    await silence(stage, "upgrade", start=now + start, end=now + 2 * HOUR)
    request = ExpireSilenceRuleRequest(silence_rule_id="upgrade")
    ended = await stage.here.noise.ExpireSilenceRule(request)
    assert ended.state == State.EXPIRED
    assert await silenced_by(stage) == ""
    stage.advance(hours=1)
    assert await stage.here.noise.ExpireSilenceRule(request) == ended == await read(stage, "upgrade")
    assert await silenced_by(stage) == ""


async def test_a_deleted_silence_is_gone(stage: World) -> None:
    """What is not there is NOT_FOUND for every method."""
    await silence(stage, "upgrade", end=stage.now + HOUR)
    await stage.here.noise.DeleteSilenceRule(DeleteSilenceRuleRequest(silence_rule_id="upgrade"))
    assert await silenced_by(stage) == ""
    with pytest.raises(NotFound):
        await read(stage, "upgrade")
    with pytest.raises(NotFound):
        await stage.here.noise.DeleteSilenceRule(DeleteSilenceRuleRequest(silence_rule_id="upgrade"))
    with pytest.raises(NotFound):
        await stage.here.noise.ExpireSilenceRule(ExpireSilenceRuleRequest(silence_rule_id="upgrade"))


async def test_the_same_request_makes_one_silence(stage: World) -> None:
    """The second gets the first one's."""
    end = stage.now + HOUR
    made = await silence(stage, end=end, request_id="r")
    assert (await silence(stage, end=end, request_id="r")).silence_rule_id == made.silence_rule_id
    assert len(await listed(stage)) == 1
    with pytest.raises(AlreadyExists):
        await silence(stage, made.silence_rule_id, end=end)


async def test_a_silence_of_everything_is_refused(stage: World) -> None:
    """It would keep quiet what carries no label at all."""
    rule = SilenceRule(matchers=['team!="x"'], ends_at=wire.timestamp(stage.now + HOUR))
    with pytest.raises(Invalid, match="empty string"):
        await stage.here.noise.CreateSilenceRule(CreateSilenceRuleRequest(silence_rule=rule))


async def aggregate(stage: World, name: str, request_id: str = "") -> AggregationRule:
    """Groups the database team's alerts by host."""
    rule = AggregationRule(
        aggregation_rule_id=name, matchers=['team="db"'], group_by=["host"], window=Duration(seconds=60)
    )
    return await stage.here.noise.CreateAggregationRule(
        CreateAggregationRuleRequest(aggregation_rule=rule, request_id=request_id)
    )


async def test_an_aggregation_rule_lives(stage: World) -> None:
    """Created, read, changed, deleted: in force at each step."""
    made = await aggregate(stage, "hosts")
    get = GetAggregationRuleRequest(aggregation_rule_id="hosts")
    assert await stage.here.noise.GetAggregationRule(get) == made
    parent = await stage.here.open(**FACTS)
    child = await stage.here.open(**FACTS)
    assert child.parent_alert_id == parent.alert_id
    assert child.suppressed_by == "aggregation-rules/hosts"
    changed = await stage.here.noise.UpdateAggregationRule(
        UpdateAggregationRuleRequest(
            aggregation_rule=AggregationRule(aggregation_rule_id="hosts", window=Duration(seconds=90)),
            update_mask=FieldMask(paths=["window", "group_by"]),
        )
    )
    assert (list(changed.group_by), changed.window.seconds) == ([], 90)
    assert list(changed.matchers) == list(made.matchers)
    assert await stage.here.noise.GetAggregationRule(get) == changed
    await stage.here.noise.DeleteAggregationRule(DeleteAggregationRuleRequest(aggregation_rule_id="hosts"))
    assert (await stage.here.open(**FACTS)).suppressed_by == ""
    with pytest.raises(NotFound):
        await stage.here.noise.GetAggregationRule(get)


async def test_aggregation_rules_are_listed_and_made_once(stage: World) -> None:
    """By id, page by page."""
    for name in ("b", "a", "c"):
        await aggregate(stage, name, name)
    assert (await aggregate(stage, "d", "a")).aggregation_rule_id == "a"
    first = await stage.here.noise.ListAggregationRules(ListAggregationRulesRequest(page_size=2))
    rest = await stage.here.noise.ListAggregationRules(
        ListAggregationRulesRequest(page_size=2, page_token=first.next_page_token)
    )
    pages = [[rule.aggregation_rule_id for rule in page.aggregation_rules] for page in (first, rest)]
    assert pages == [["a", "b"], ["c"]]
    assert not rest.next_page_token


async def test_an_aggregation_rule_needs_a_window(stage: World) -> None:
    """And matchers that can be read."""
    with pytest.raises(Invalid) as raised:
        await stage.here.noise.CreateAggregationRule(
            CreateAggregationRuleRequest(aggregation_rule=AggregationRule(matchers=["x"]))
        )
    assert [field.path for field in raised.value.fields] == ["matchers[0]", "window"]
