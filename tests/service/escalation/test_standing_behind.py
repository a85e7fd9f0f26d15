"""Who stands behind whom when the one in front is no longer there: nothing that fires is lost."""

import asyncio

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.errors import Invalid, NotFound
from tests.service.escalation.noises import aggregate, becomes, expire, inhibit, reviewed, silence
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, Severity
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertResponse
from tocsin.escalation.v1.noise_pb2 import AggregationRule, InhibitionRule
from tocsin.escalation.v1.noise_service_pb2 import (
    CreateInhibitionRuleRequest,
    DeleteAggregationRuleRequest,
    DeleteInhibitionRuleRequest,
    GetInhibitionRuleRequest,
    ListInhibitionRulesRequest,
    UpdateAggregationRuleRequest,
    UpdateInhibitionRuleRequest,
)

SUPPRESSED = TriggerAlertResponse.SUPPRESSED
POWER, RACK = {"kind": "power", "dc": "1"}, {"kind": "host", "dc": "1"}


async def storm(stage: World, count: int, **labels: str) -> list[Alert]:
    """Alerts of one group, the first in front."""
    alerts = [await stage.here.open(f"a{n}", labels={"kind": "storm", **labels}) for n in range(count)]
    assert [alert.state for alert in alerts] == [Alert.OPEN] + [Alert.SUPPRESSED] * (count - 1)
    return alerts


async def test_the_oldest_takes_over_when_the_first_closes(stage: World) -> None:
    """It opens and is paged; the others, and those that come, stand behind it."""
    stage.roster.on_call["oncall://active"] = ["alice"]
    await aggregate(stage, "storm", 'kind="storm"')
    first, second, third = await storm(stage, 3)
    await stage.pages(1)
    await stage.here.close(first)
    await becomes(stage, second, Alert.OPEN)
    behind = await becomes(stage, third, Alert.SUPPRESSED, "aggregation-rules/storm")
    assert behind.parent_alert_id == second.alert_id
    fourth = await stage.here.open("a4", labels={"kind": "storm"})
    assert fourth.parent_alert_id == second.alert_id
    assert [title for title, _, _ in await stage.pages(2)] == ["a0", "a1"]
    assert await stage.happened(second) == ["noise_suppressed", "opened", "escalated"]
    assert await stage.happened(third) == ["noise_suppressed", "noise_suppressed"]


async def test_whoever_takes_the_first_takes_those_behind(stage: World) -> None:
    """An acknowledgement leaves them where they are."""
    await aggregate(stage, "storm", 'kind="storm"')
    first, second = await storm(stage, 2)
    await stage.here.acknowledge(first)
    await reviewed(stage)
    await becomes(stage, second, Alert.SUPPRESSED, "aggregation-rules/storm")


async def test_a_first_that_is_silenced_stands_for_nobody(stage: World) -> None:
    """The oldest that the silence does not concern takes over."""
    await aggregate(stage, "storm", 'kind="storm"')
    first, second = (
        await storm(stage, 1, host="a"),
        await stage.here.open(labels={"kind": "storm", "host": "b"}),
    )
    assert second.parent_alert_id == first[0].alert_id
    await silence(stage, "a", 'host="a"')
    await becomes(stage, first[0], Alert.SUPPRESSED, "silence-rules/a")
    await becomes(stage, second, Alert.OPEN)
    await expire(stage, "a")
    back = await becomes(stage, first[0], Alert.SUPPRESSED, "aggregation-rules/storm")
    assert back.parent_alert_id == second.alert_id


async def test_firsts_close_one_after_the_other(stage: World) -> None:
    """Through two replicas at once: in the end the last one is open, and each opened once."""
    other = await stage.replica()
    await aggregate(stage, "storm", 'kind="storm"')
    alerts = await storm(stage, 8)
    await asyncio.gather(*((stage.here, other)[n % 2].close(alert) for n, alert in enumerate(alerts[:-1])))
    await becomes(stage, alerts[-1], Alert.OPEN)
    await reviewed(stage)
    for alert in alerts:
        assert (await stage.happened(alert)).count("opened") <= 1


async def test_a_rule_that_goes_or_changes_lets_go(stage: World) -> None:
    """What it put behind others is judged by the rules as they are."""
    await aggregate(stage, "storm", 'kind="storm"')
    first, second = await storm(stage, 1), await stage.here.open(labels={"kind": "storm", "host": "b"})
    rule = AggregationRule(aggregation_rule_id="storm", group_by=["host"], window=Duration(seconds=60))
    await stage.here.noise.UpdateAggregationRule(
        UpdateAggregationRuleRequest(aggregation_rule=rule, update_mask=FieldMask(paths=["group_by"]))
    )
    await becomes(stage, second, Alert.OPEN)
    third = await stage.here.open(labels={"kind": "storm", "host": "b"})
    assert third.parent_alert_id == second.alert_id
    await stage.here.noise.DeleteAggregationRule(DeleteAggregationRuleRequest(aggregation_rule_id="storm"))
    await becomes(stage, third, Alert.OPEN)
    assert (await stage.here.get(first[0])).state == Alert.OPEN


async def test_a_source_keeps_its_targets_quiet(stage: World) -> None:
    """Those that come, and those that are open; other values of the equal labels are others' business."""
    stage.roster.on_call["oncall://active"] = ["alice"]
    await inhibit(stage, "power", 'kind="power"', 'kind="host"', "dc")
    before = await stage.here.open("before", labels=RACK)
    await stage.pages(1)
    source = await stage.here.open("power", labels=POWER)
    await becomes(stage, before, Alert.SUPPRESSED, "inhibition-rules/power")
    after = await stage.here.trigger("after", labels=RACK)
    elsewhere = await stage.here.open("elsewhere", labels={**RACK, "dc": "2"})
    assert (after.outcome, after.alert.parent_alert_id) == (SUPPRESSED, source.alert_id)
    assert elsewhere.state == Alert.OPEN
    await stage.here.acknowledge(source)
    await reviewed(stage)
    await becomes(stage, after.alert, Alert.SUPPRESSED, "inhibition-rules/power")
    await stage.here.close(source)
    for alert in (before, after.alert):
        await becomes(stage, alert, Alert.OPEN)
    assert await stage.happened(before) == ["opened", "escalated", "noise_suppressed", "opened", "escalated"]
    titles = [title for title, _, _ in await stage.pages(5)]
    assert sorted(titles) == ["after", "before", "before", "elsewhere", "power"]


async def test_another_source_goes_on(stage: World) -> None:
    """Targets open when the last one is over."""
    await inhibit(stage, "power", 'kind="power"', 'kind="host"', "dc")
    first, second = [await stage.here.open(labels=POWER) for _ in range(2)]
    target = await stage.here.open(labels=RACK)
    await stage.here.close(first)
    await reviewed(stage)
    still = await becomes(stage, target, Alert.SUPPRESSED, "inhibition-rules/power")
    assert still.parent_alert_id == second.alert_id
    await stage.here.close(second)
    await becomes(stage, target, Alert.OPEN)


async def test_what_matches_both_sides_inhibits_neither_itself_nor_its_like(stage: World) -> None:
    """As Alertmanager has it; a plain source inhibits it all the same."""
    await inhibit(stage, "severe", 'kind=~"host|power"', 'kind="host"', "dc")
    one, other = [await stage.here.open(labels=RACK) for _ in range(2)]
    await reviewed(stage)
    assert [(await stage.here.get(alert)).state for alert in (one, other)] == [Alert.OPEN] * 2
    await stage.here.open(labels=POWER)
    await becomes(stage, one, Alert.SUPPRESSED, "inhibition-rules/severe")


async def test_a_silenced_source_goes_on_inhibiting(stage: World) -> None:
    """As Alertmanager has it: what follows from a known failure is no news, whichever came first."""
    await inhibit(stage, "power", 'kind="power"', 'kind="host"')
    before = await stage.here.open(labels=RACK)
    await silence(stage, "known", 'kind="power"')
    source = await stage.here.open(labels=POWER)
    target = await stage.here.open(labels=RACK)
    assert (source.state, target.state) == (Alert.SUPPRESSED, Alert.SUPPRESSED)
    await becomes(stage, before, Alert.SUPPRESSED, "inhibition-rules/power")
    await expire(stage, "known")
    await becomes(stage, source, Alert.OPEN)
    await reviewed(stage)
    assert (await stage.here.get(target)).state == Alert.SUPPRESSED
    await stage.here.close(source)
    for alert in (before, target):
        await becomes(stage, alert, Alert.OPEN)


async def test_of_two_that_inhibit_each_other_one_is_heard(stage: World) -> None:
    """An inhibited source inhibits nothing: somebody must hear of it."""
    await inhibit(stage, "one", 'kind="power"', 'kind="host"')
    await inhibit(stage, "two", 'kind="host"', 'kind="power"')
    first = await stage.here.open(labels=POWER)
    second = await stage.here.open(labels=RACK)
    await becomes(stage, second, Alert.SUPPRESSED, "inhibition-rules/one")
    await reviewed(stage)
    assert (await stage.here.get(first)).state == Alert.OPEN
    await stage.here.close(first)
    await becomes(stage, second, Alert.OPEN)


async def test_an_inhibition_rule_lives(stage: World) -> None:
    """Created beside alerts that are open, changed, deleted: in force at each step."""
    await stage.here.open(labels=POWER, severity=Severity.CRITICAL)
    target = await stage.here.open(labels={"kind": "host", "dc": "2"})
    made = await inhibit(stage, "power", 'kind="power"', 'kind="host"')
    await becomes(stage, target, Alert.SUPPRESSED, "inhibition-rules/power")
    changed = await stage.here.noise.UpdateInhibitionRule(
        UpdateInhibitionRuleRequest(
            inhibition_rule=InhibitionRule(inhibition_rule_id="power", equal=["dc"]),
            update_mask=FieldMask(paths=["equal"]),
        )
    )
    await becomes(stage, target, Alert.OPEN)
    get = GetInhibitionRuleRequest(inhibition_rule_id="power")
    assert await stage.here.noise.GetInhibitionRule(get) == changed != made
    listed = await stage.here.noise.ListInhibitionRules(ListInhibitionRulesRequest())
    assert list(listed.inhibition_rules) == [changed]
    same = await stage.here.open(labels=RACK)
    assert same.suppressed_by == "inhibition-rules/power"
    await stage.here.noise.DeleteInhibitionRule(DeleteInhibitionRuleRequest(inhibition_rule_id="power"))
    await becomes(stage, same, Alert.OPEN)
    with pytest.raises(NotFound):
        await stage.here.noise.GetInhibitionRule(get)


async def test_an_inhibition_rule_is_checked(stage: World) -> None:
    """Every wrong field is named."""
    rule = InhibitionRule(inhibition_rule_id="A", source_matchers=["x"], equal=["a", "a"])
    with pytest.raises(Invalid) as raised:
        await stage.here.noise.CreateInhibitionRule(CreateInhibitionRuleRequest(inhibition_rule=rule))
    paths = [field.path for field in raised.value.fields]
    assert paths == ["inhibition_rule_id", "source_matchers[0]", "target_matchers", "equal[1]"]


async def test_sources_and_targets_come_at_once(stage: World) -> None:
    """Through two replicas: whoever is first, in the end every target is quiet, and when the sources close none is."""
    other = await stage.replica()
    await inhibit(stage, "power", 'kind="power"', 'kind="host"', "dc")
    await reviewed(stage)
    labels = [{"kind": "power" if n % 5 == 4 else "host", "dc": str(n % 3)} for n in range(45)]
    alerts = await asyncio.gather(
        *((stage.here, other)[n % 2].open(f"a{n}", labels=one) for n, one in enumerate(labels))
    )
    stage.advance(seconds=1)
    hosts = [alert for alert in alerts if alert.labels["kind"] == "host"]
    for alert in hosts:
        await becomes(stage, alert, Alert.SUPPRESSED, "inhibition-rules/power")
    sources = [alert for alert in alerts if alert.labels["kind"] == "power"]
    await asyncio.gather(*((stage.here, other)[n % 2].close(alert) for n, alert in enumerate(sources)))
    for alert in hosts:
        await becomes(stage, alert, Alert.OPEN)
    assert await stage.rows("select 1 from sources") == []
