"""Silences and aggregation rules through the API: in force when answered, by the clock, until they are ended."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis import wire
from chassis.errors import AlreadyExists, Invalid, NotFound
from services.escalation.domain.rules import Facts
from tests.fixtures.postgres import TestDatabase
from tests.service.escalation.configuring import Desk, desk
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
FACTS = Facts("CRITICAL", "prometheus", "disk full", {"team": "db"})
State = SilenceRule.State


@pytest.fixture
async def world(database: TestDatabase) -> AsyncIterator[Desk]:
    """The service over an empty database."""
    async with desk(database) as serving:
        yield serving


async def silence(
    world: Desk, name: str = "", *, start: datetime | None = None, end: datetime, request_id: str = ""
) -> SilenceRule:
    """Silences the database team until `end`."""
    rule = SilenceRule(
        silence_rule_id=name,
        matchers=['team="db"', 'severity=~"CRIT.*"'],
        starts_at=wire.timestamp(start),
        ends_at=wire.timestamp(end),
        comment="upgrade",
    )
    return await world.noise.CreateSilenceRule(
        CreateSilenceRuleRequest(silence_rule=rule, request_id=request_id)
    )


async def read(world: Desk, name: str) -> SilenceRule:
    """Reads a silence."""
    return await world.noise.GetSilenceRule(GetSilenceRuleRequest(silence_rule_id=name))


async def listed(world: Desk, *states: State.ValueType) -> list[str]:
    """The ids of the silences in these states, in the order of the list."""
    answer = await world.noise.ListSilenceRules(ListSilenceRulesRequest(state=states))
    return [rule.silence_rule_id for rule in answer.silence_rules]


def silenced_by(world: Desk) -> str | None:
    """Which silence the alert meets now."""
    rule = world.rules.value.silenced_by(FACTS, world.clock.now())
    return rule.silence_rule_id if rule else None


async def test_a_silence_is_in_force_when_answered(world: Desk) -> None:
    """From now on, by the caller, until its end comes."""
    made = await silence(world, "upgrade", end=world.clock.now() + HOUR)
    assert (made.state, made.created_by, made.comment) == (State.ACTIVE, "alice", "upgrade")
    assert made.starts_at == made.created_at
    assert silenced_by(world) == "upgrade"
    world.clock.advance(HOUR)
    assert silenced_by(world) is None
    assert (await read(world, "upgrade")).state == State.EXPIRED


async def test_a_silence_waits_for_its_start(world: Desk) -> None:
    """It is known before, and needs nobody to begin."""
    now = world.clock.now()
    await silence(world, "upgrade", start=now + HOUR, end=now + 2 * HOUR)
    assert (await read(world, "upgrade")).state == State.PENDING
    assert silenced_by(world) is None
    world.clock.advance(HOUR)
    assert silenced_by(world) == "upgrade"
    assert (await read(world, "upgrade")).state == State.ACTIVE


async def test_silences_are_listed_by_state(world: Desk) -> None:
    """Several states, or all."""
    now = world.clock.now()
    await silence(world, "past", start=now - 2 * HOUR, end=now - HOUR)
    await silence(world, "present", end=now + HOUR)
    await silence(world, "future", start=now + HOUR, end=now + 2 * HOUR)
    assert await listed(world) == ["future", "past", "present"]
    assert await listed(world, State.ACTIVE) == ["present"]
    assert await listed(world, State.PENDING, State.EXPIRED) == ["future", "past"]
    with pytest.raises(Invalid, match=r"state\[0\]"):
        await listed(world, State.STATE_UNSPECIFIED)


@pytest.mark.parametrize("start", [timedelta(), HOUR])
async def test_an_expired_silence_stays_for_the_record(world: Desk, start: timedelta) -> None:
    """Also one that had not begun; expiring it again changes nothing."""
    now = world.clock.now()
    await silence(world, "upgrade", start=now + start, end=now + 2 * HOUR)
    request = ExpireSilenceRuleRequest(silence_rule_id="upgrade")
    ended = await world.noise.ExpireSilenceRule(request)
    assert ended.state == State.EXPIRED
    assert silenced_by(world) is None
    world.clock.advance(HOUR)
    assert await world.noise.ExpireSilenceRule(request) == ended == await read(world, "upgrade")
    assert silenced_by(world) is None


async def test_a_deleted_silence_is_gone(world: Desk) -> None:
    """What is not there is NOT_FOUND for every method."""
    await silence(world, "upgrade", end=world.clock.now() + HOUR)
    await world.noise.DeleteSilenceRule(DeleteSilenceRuleRequest(silence_rule_id="upgrade"))
    assert silenced_by(world) is None
    with pytest.raises(NotFound):
        await read(world, "upgrade")
    with pytest.raises(NotFound):
        await world.noise.DeleteSilenceRule(DeleteSilenceRuleRequest(silence_rule_id="upgrade"))
    with pytest.raises(NotFound):
        await world.noise.ExpireSilenceRule(ExpireSilenceRuleRequest(silence_rule_id="upgrade"))


async def test_the_same_request_makes_one_silence(world: Desk) -> None:
    """The second gets the first one's."""
    end = world.clock.now() + HOUR
    made = await silence(world, end=end, request_id="r")
    assert (await silence(world, end=end, request_id="r")).silence_rule_id == made.silence_rule_id
    assert len(await listed(world)) == 1
    with pytest.raises(AlreadyExists):
        await silence(world, made.silence_rule_id, end=end)


async def test_a_silence_of_everything_is_refused(world: Desk) -> None:
    """It would keep quiet what carries no label at all."""
    rule = SilenceRule(matchers=['team!="x"'], ends_at=wire.timestamp(world.clock.now() + HOUR))
    with pytest.raises(Invalid, match="empty string"):
        await world.noise.CreateSilenceRule(CreateSilenceRuleRequest(silence_rule=rule))


async def aggregate(world: Desk, name: str, request_id: str = "") -> AggregationRule:
    """Groups the database team's alerts by host."""
    rule = AggregationRule(
        aggregation_rule_id=name, matchers=['team="db"'], group_by=["host"], window=Duration(seconds=60)
    )
    return await world.noise.CreateAggregationRule(
        CreateAggregationRuleRequest(aggregation_rule=rule, request_id=request_id)
    )


async def test_an_aggregation_rule_lives(world: Desk) -> None:
    """Created, read, changed, deleted: in force at each step."""
    made = await aggregate(world, "hosts")
    get = GetAggregationRuleRequest(aggregation_rule_id="hosts")
    assert await world.noise.GetAggregationRule(get) == made
    found = world.rules.value.aggregated_by(FACTS)
    assert found is not None
    assert (found.window, found.group_by) == (timedelta(seconds=60), ("host",))
    changed = await world.noise.UpdateAggregationRule(
        UpdateAggregationRuleRequest(
            aggregation_rule=AggregationRule(aggregation_rule_id="hosts", window=Duration(seconds=90)),
            update_mask=FieldMask(paths=["window", "group_by"]),
        )
    )
    assert (list(changed.group_by), changed.window.seconds) == ([], 90)
    assert list(changed.matchers) == list(made.matchers)
    assert await world.noise.GetAggregationRule(get) == changed
    await world.noise.DeleteAggregationRule(DeleteAggregationRuleRequest(aggregation_rule_id="hosts"))
    assert world.rules.value.aggregated_by(FACTS) is None
    with pytest.raises(NotFound):
        await world.noise.GetAggregationRule(get)


async def test_aggregation_rules_are_listed_and_made_once(world: Desk) -> None:
    """By id, page by page."""
    for name in ("b", "a", "c"):
        await aggregate(world, name, name)
    assert (await aggregate(world, "d", "a")).aggregation_rule_id == "a"
    first = await world.noise.ListAggregationRules(ListAggregationRulesRequest(page_size=2))
    rest = await world.noise.ListAggregationRules(
        ListAggregationRulesRequest(page_size=2, page_token=first.next_page_token)
    )
    pages = [[rule.aggregation_rule_id for rule in page.aggregation_rules] for page in (first, rest)]
    assert pages == [["a", "b"], ["c"]]
    assert not rest.next_page_token


async def test_an_aggregation_rule_needs_a_window(world: Desk) -> None:
    """And matchers that can be read."""
    with pytest.raises(Invalid) as raised:
        await world.noise.CreateAggregationRule(
            CreateAggregationRuleRequest(aggregation_rule=AggregationRule(matchers=["x"]))
        )
    assert [field.path for field in raised.value.fields] == ["matchers[0]", "window"]
