"""Triggers: what opens, what adds to it, what is kept quiet, and what is refused."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from chassis.client import channel
from chassis.errors import Denied, Invalid, Unauthenticated
from chassis.wire import timestamp
from tests.fixtures.eventually import eventually
from tests.service.escalation.world import Replica, World
from tocsin.escalation.v1 import noise_pb2, noise_service_pb2
from tocsin.escalation.v1.alert_pb2 import Alert, Severity
from tocsin.escalation.v1.alert_service_pb2 import (
    BatchTriggerAlertsRequest,
    BatchTriggerAlertsResult,
    TriggerAlertRequest,
    TriggerAlertResponse,
)

OPENED, REPEATED = TriggerAlertResponse.OPENED, TriggerAlertResponse.REPEATED
SUPPRESSED, AGGREGATED = TriggerAlertResponse.SUPPRESSED, TriggerAlertResponse.AGGREGATED


async def silence(replica: Replica, *matchers: str, until: timedelta = timedelta(hours=1)) -> None:
    """Silences what matches from now on."""
    rule = noise_pb2.SilenceRule(
        silence_rule_id="quiet", matchers=matchers, ends_at=timestamp(replica.clock.now() + until)
    )
    await replica.noise.CreateSilenceRule(noise_service_pb2.CreateSilenceRuleRequest(silence_rule=rule))


async def aggregate(replica: Replica, *matchers: str, by: tuple[str, ...] = ("team",)) -> None:
    """Puts what matches behind the first of its group, for a minute."""
    rule = noise_pb2.AggregationRule(
        aggregation_rule_id="storm", matchers=matchers, group_by=by, window=Duration(seconds=60)
    )
    await replica.noise.CreateAggregationRule(
        noise_service_pb2.CreateAggregationRuleRequest(aggregation_rule=rule)
    )


async def test_a_trigger_opens_an_alert(stage: World) -> None:
    """It answers what is kept, whole."""
    answer = await stage.here.trigger(
        "disk full", description="97 %", source="db-1", labels={"team": "db"}, severity=Severity.CRITICAL
    )
    alert = answer.alert
    assert answer.outcome == OPENED
    assert (alert.title, alert.description, alert.source) == ("disk full", "97 %", "db-1")
    assert (dict(alert.labels), alert.severity, alert.policy_id) == (
        {"team": "db"},
        Severity.CRITICAL,
        "default",
    )
    assert (alert.state, alert.trigger_count, alert.version, alert.escalation_level) == (Alert.OPEN, 1, 1, 0)
    assert alert.opened_at == alert.last_triggered_at
    assert not alert.HasField("acked_at")
    kept = await stage.here.get(alert)
    assert (kept.opened_at, kept.labels, kept.title) == (alert.opened_at, alert.labels, alert.title)
    assert (await stage.happened(alert))[0] == "opened"


async def test_severity_is_medium_unless_said(stage: World) -> None:
    """And only a key makes two triggers one alert."""
    first, second = await stage.here.open(), await stage.here.open()
    assert first.severity == Severity.MEDIUM
    assert first.alert_id != second.alert_id


async def test_the_same_key_adds_to_the_alert(stage: World) -> None:
    """Until it is closed: then a new one opens."""
    first = await stage.here.open(dedup_key="k")
    again = await stage.here.trigger("another title", dedup_key="k")
    assert again.outcome == REPEATED
    assert (again.alert.alert_id, again.alert.title, again.alert.trigger_count) == (
        first.alert_id,
        "disk full",
        2,
    )
    assert again.alert.version > first.version
    assert again.alert.last_triggered_at.ToDatetime() > first.opened_at.ToDatetime()
    await stage.here.close(first)
    anew = await stage.here.trigger(dedup_key="k")
    assert (anew.outcome, anew.alert.trigger_count) == (OPENED, 1)
    assert anew.alert.alert_id != first.alert_id


async def test_an_acknowledged_alert_takes_repeats_and_stays_so(stage: World) -> None:
    """Nobody is told again."""
    first = await stage.here.open(dedup_key="k")
    await stage.here.acknowledge(first)
    again = await stage.here.trigger(dedup_key="k")
    assert (again.outcome, again.alert.state) == (REPEATED, Alert.ACKED)


async def test_many_with_one_key_make_one_alert(stage: World) -> None:
    """Through two replicas at once, with every trigger counted."""
    other = await stage.replica()
    answers = await asyncio.gather(
        *((stage.here if n % 2 else other).trigger(dedup_key=f"k{n % 3}") for n in range(240))
    )
    assert sorted(answer.outcome for answer in answers).count(OPENED) == 3
    ids = {answer.alert.alert_id for answer in answers}
    assert len(ids) == 3
    for alert_id in ids:
        alert = await stage.here.get(Alert(alert_id=alert_id))
        assert alert.trigger_count == 80
        events = await stage.events(alert)
        assert 1 + sum(event.triggers for kind, event in events if kind == "alert.repeated") == 80
        await stage.happened(alert)


async def test_keys_and_closes_at_once_lose_no_trigger(stage: World) -> None:
    """However they fall: the counts of all alerts of the key are the triggers answered."""
    other = await stage.replica()
    closing = asyncio.Event()

    async def close_all() -> None:
        while not closing.is_set():
            for alert in await other.find(dedup_key="k", state=[Alert.OPEN]):
                await other.close(alert)

    closer = asyncio.create_task(close_all())
    for _ in range(10):
        await asyncio.gather(*((stage.here if n % 2 else other).trigger(dedup_key="k") for n in range(20)))
    closing.set()
    await closer
    alerts = await stage.here.find(dedup_key="k", page_size=1000)
    assert sum(alert.trigger_count for alert in alerts) == 200
    assert sum(alert.state != Alert.CLOSED for alert in alerts) <= 1


async def test_a_request_id_makes_the_call_idempotent(stage: World) -> None:
    """Also of many at once, by two replicas, and after the alert has changed."""
    other = await stage.replica()
    answers = await asyncio.gather(
        *((stage.here if n % 2 else other).trigger(request_id="r") for n in range(10))
    )
    assert {(answer.alert.alert_id, answer.outcome) for answer in answers} == {
        (answers[0].alert.alert_id, OPENED)
    }
    await stage.here.close(answers[0].alert)
    again = await stage.here.trigger(request_id="r")
    assert (again.alert.alert_id, again.alert.state, again.outcome) == (
        answers[0].alert.alert_id,
        Alert.CLOSED,
        OPENED,
    )
    assert again.alert.trigger_count == 1


async def test_a_repeat_is_counted_once_per_request_id(stage: World) -> None:
    """A retry of what added to an alert adds nothing."""
    first = await stage.here.open(dedup_key="k")
    for _ in range(3):
        answer = await stage.here.trigger(dedup_key="k", request_id="again")
        assert answer.outcome == REPEATED
    assert (await stage.here.get(first)).trigger_count == 2


async def test_a_silenced_alert_is_kept_quiet(stage: World) -> None:
    """It is there, tells nobody, and takes repeats."""
    await silence(stage.here, 'team="db"')
    quiet = await stage.here.trigger("quiet", labels={"team": "db"}, dedup_key="k")
    loud = await stage.here.trigger("loud", labels={"team": "web"})
    assert (quiet.outcome, quiet.alert.state, quiet.alert.suppressed_by) == (
        SUPPRESSED,
        Alert.SUPPRESSED,
        "silence-rules/quiet",
    )
    assert (loud.outcome, loud.alert.state) == (OPENED, Alert.OPEN)
    again = await stage.here.trigger("quiet", labels={"team": "db"}, dedup_key="k")
    assert (again.outcome, again.alert.state, again.alert.trigger_count) == (REPEATED, Alert.SUPPRESSED, 2)
    assert await stage.happened(quiet.alert) == ["suppressed", "repeated"]
    assert await stage.rows("select 1 from timers where alert_id = %s", quiet.alert.alert_id) == []


async def test_the_first_of_a_group_opens(stage: World) -> None:
    """The others stand behind it, until its window is over."""
    await aggregate(stage.here, 'kind="storm"')
    labels = {"kind": "storm", "team": "db"}
    first = await stage.here.trigger("first", labels=labels)
    second = await stage.here.trigger("second", labels=labels, dedup_key="k")
    other = await stage.here.trigger("other team", labels={**labels, "team": "web"})
    again = await stage.here.trigger("second", labels=labels, dedup_key="k")
    assert [one.outcome for one in (first, second, other, again)] == [OPENED, AGGREGATED, OPENED, REPEATED]
    assert second.alert.state == Alert.SUPPRESSED
    assert second.alert.suppressed_by == "aggregation-rules/storm"
    assert second.alert.parent_alert_id == first.alert.alert_id
    assert await stage.happened(second.alert) == ["noise_suppressed", "repeated"]
    stage.advance(seconds=61)
    late = await stage.here.trigger("late", labels=labels)
    later = await stage.here.trigger("later", labels=labels)
    assert (late.outcome, later.outcome) == (OPENED, AGGREGATED)
    assert later.alert.parent_alert_id == late.alert.alert_id


async def test_a_group_has_one_in_front_however_many_come(stage: World) -> None:
    """Through two replicas at once; some with keys, some as batches."""
    await aggregate(stage.here, 'kind="storm"')
    other = await stage.replica()

    def one(n: int) -> dict[str, Any]:
        return {"labels": {"kind": "storm", "team": f"t{n % 2}"}, "dedup_key": f"k{n % 7}" if n % 3 else ""}

    singles = [(stage.here if n % 2 else other).trigger(**one(n // 2)) for n in range(60)]
    batches = [
        replica.batch(*(TriggerAlertRequest(title="batch", **one(n)) for n in range(70)))
        for replica in (stage.here, other)
    ]
    answers: list[TriggerAlertResponse | BatchTriggerAlertsResult] = list(await asyncio.gather(*singles))
    for results in await asyncio.gather(*batches):
        answers += results
    opened = [answer.alert for answer in answers if answer.outcome == OPENED]
    assert sorted(alert.labels["team"] for alert in opened) == ["t0", "t1"]
    parents = {alert.labels["team"]: alert.alert_id for alert in opened}
    alerts = await stage.here.find(page_size=1000)
    behind = [alert for alert in alerts if alert.state == Alert.SUPPRESSED]
    assert len(behind) == len(alerts) - 2
    assert all(alert.parent_alert_id in parents.values() for alert in behind)
    assert sum(alert.trigger_count for alert in alerts) == len(answers)


async def test_the_policy_is_the_one_named_or_the_one_that_matches(stage: World) -> None:
    """Also when another replica made it a moment ago."""
    other = await stage.replica()
    await other.policy("db", (["responder://alice"], 60), matchers=['team="db"'])
    named = await stage.here.open(policy_id="db")
    await other.policy("web", (["responder://alice"], 60))
    good, bad = await stage.here.batch(
        *(TriggerAlertRequest(title="x", policy_id=one) for one in ("web", "no"))
    )
    assert (good.alert.policy_id, bad.error.message) == ("web", "policy_id: there is no policy 'no'")
    matched = await other.open(labels={"team": "db"})
    assert (named.policy_id, matched.policy_id) == ("db", "db")
    assert (await other.open()).policy_id == "default"


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"title": ""}, ["title"]),
    ({"title": "   "}, ["title"]),
    ({"title": "x" * 1025}, ["title"]),
    ({"description": "x" * 65_537}, ["description"]),
    ({"description": "ü" * 32_769}, ["description"]),
    ({"severity": 17}, ["severity"]),
    ({"source": "x" * 1025}, ["source"]),
    ({"dedup_key": "x" * 256}, ["dedup_key"]),
    ({"labels": {"": "x"}}, ["labels[''].name"]),
    ({"labels": {"a": "x" * 1025}}, ["labels['a']"]),
    ({"labels": {f"l{n}": "" for n in range(65)}}, ["labels"]),
    ({"title": "a\0b"}, ["title"]),
    ({"policy_id": "Not A Name"}, ["policy_id"]),
    ({"policy_id": "nobody"}, ["policy_id"]),
    ({"request_id": "x" * 129}, ["request_id"]),
    ({"title": "", "source": "x" * 1025, "severity": 17}, ["severity", "title", "source"]),
]


async def test_wrong_fields_are_named(stage: World) -> None:
    """All at once, and nothing is kept."""
    for fields, wrong in WRONG:
        with pytest.raises(Invalid) as raised:
            await stage.here.trigger(**{"title": "good", **fields})
        assert [field.path for field in raised.value.fields] == wrong
    assert await stage.here.find() == []


async def test_limits_are_within(stage: World) -> None:
    """The longest of everything is taken."""
    alert = await stage.here.open(
        "ü" * 1024,
        description="ü" * 32_768,
        source="ü" * 1024,
        dedup_key="ü" * 255,
        labels={f"{n:0128}": "ü" * 1024 for n in range(64)},
        request_id="ü" * 128,
    )
    kept = await stage.here.get(alert)
    assert (kept.title, kept.labels, kept.dedup_key) == (alert.title, alert.labels, alert.dedup_key)


async def test_a_batch_answers_each_by_itself(stage: World) -> None:
    """In order; a bad one never fails its neighbours, equal keys are one alert."""
    await silence(stage.here, 'team="quiet"')
    results = await stage.here.batch(
        TriggerAlertRequest(title="one", dedup_key="k"),
        TriggerAlertRequest(title=""),
        TriggerAlertRequest(title="again", dedup_key="k"),
        TriggerAlertRequest(title="lost", policy_id="nobody"),
        TriggerAlertRequest(title="quiet", labels={"team": "quiet"}),
    )
    assert [result.WhichOneof("result") for result in results] == [
        "alert",
        "error",
        "alert",
        "error",
        "alert",
    ]
    assert [result.outcome for result in results] == [OPENED, 0, REPEATED, 0, SUPPRESSED]
    assert [results[n].error.code for n in (1, 3)] == [grpc.StatusCode.INVALID_ARGUMENT.value[0]] * 2
    assert results[0].alert.alert_id == results[2].alert.alert_id
    assert results[2].alert.trigger_count == 2


async def test_a_large_batch_is_written_whole(stage: World) -> None:
    """A thousand, with and without keys."""
    results = await stage.here.batch(
        *(TriggerAlertRequest(title=f"t{n}", dedup_key=f"k{n % 300}" if n % 2 else "") for n in range(1000))
    )
    assert all(result.WhichOneof("result") == "alert" for result in results)
    assert [result.alert.title for result in results[::2]] == [f"t{n}" for n in range(0, 1000, 2)]
    ((triggers,),) = await stage.rows("select sum(trigger_count) from alerts")
    assert triggers == 1000


async def test_a_batch_has_bounds(stage: World) -> None:
    """One to a thousand."""
    for count in (0, 1001):
        with pytest.raises(Invalid) as raised:
            await stage.here.alerts.BatchTriggerAlerts(
                BatchTriggerAlertsRequest(requests=[TriggerAlertRequest(title="x")] * count)
            )
        assert [field.path for field in raised.value.fields] == ["requests"]


async def test_triggers_need_a_token_with_the_scope(stage: World) -> None:
    """Reading is not enough."""
    with pytest.raises(Denied):
        await stage.as_("reader", "alerts:read").trigger()
    async with channel(stage.here.address) as nobody:
        with pytest.raises(Unauthenticated):
            await Replica(stage.here.address, nobody, stage.here.clock).trigger()


async def test_events_reach_the_broker_in_order(stage: World) -> None:
    """With the types of the contract."""
    alert = await stage.here.open(dedup_key="k")
    await eventually(lambda: stage.happened(alert))
    await stage.steps(alert, 1)
    await stage.here.trigger(dedup_key="k")
    await stage.here.acknowledge(alert)
    await stage.here.close(alert)
    expected = await stage.happened(alert)
    assert await stage.published(len(expected)) == [f"alert.{kind}" for kind in expected]
