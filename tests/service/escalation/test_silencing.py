"""Silences and the alerts that are open when they begin, and still fire when they end."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from chassis import wire
from chassis.errors import Invalid
from tests.fixtures.eventually import eventually
from tests.service.escalation.noises import HOUR, becomes, expire, reviewed, silence
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.alert_service_pb2 import EscalateAlertRequest, TriggerAlertRequest
from tocsin.escalation.v1.noise_pb2 import Recurrence, SilenceRule
from tocsin.escalation.v1.noise_service_pb2 import (
    CreateSilenceRuleRequest,
    DeleteSilenceRuleRequest,
    GetSilenceRuleRequest,
)

DB: Any = {"labels": {"team": "db"}}


async def test_a_silence_pauses_what_is_open(stage: World) -> None:
    """Its timers and the pages not sent yet end; what does not match goes on."""
    await stage.here.policy("p", (["responder://alice"], 300))
    stage.notify.failing = True
    alert = await stage.here.open("db", policy_id="p", **DB)
    other = await stage.here.open("web", policy_id="p", labels={"team": "web"})
    await stage.steps(alert, 1)
    await silence(stage, "upgrade", 'team="db"')
    quiet = await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/upgrade")
    assert await stage.happened(alert) == ["opened", "escalated", "suppressed"]
    assert await stage.rows("select 1 from timers where alert_id = %s", quiet.alert_id) == []
    stage.notify.failing = False
    assert await stage.pages(1) == [("web", 1, ["alice"])]
    assert (await stage.here.get(other)).state == Alert.OPEN


@pytest.mark.parametrize("end", ["by the clock", "expired", "deleted"])
async def test_what_still_fires_opens_when_the_silence_ends(stage: World, end: str) -> None:
    """Once, from the first level; what was closed meanwhile does not. Two replicas."""
    await stage.replica()
    await stage.here.policy("p", (["responder://alice"], 300), (["responder://bob"], 300))
    await silence(stage, "upgrade", 'team="db"')
    fires = await stage.here.open("fires", policy_id="p", **DB)
    over = await stage.here.open("over", policy_id="p", **DB)
    assert fires.state == over.state == Alert.SUPPRESSED
    await stage.here.close(over)
    match end:
        case "by the clock":
            stage.advance(hours=1)
        case "expired":
            await expire(stage, "upgrade")
        case _:
            await stage.here.noise.DeleteSilenceRule(DeleteSilenceRuleRequest(silence_rule_id="upgrade"))
    assert await stage.pages(1) == [("fires", 1, ["alice"])]
    await reviewed(stage)
    assert await stage.happened(fires) == ["suppressed", "opened", "escalated"]
    assert (await stage.here.get(over)).state == Alert.CLOSED


async def test_an_end_that_nobody_was_there_for(stage: World) -> None:
    """A replica that starts after it finds what is to be done."""
    await stage.here.policy("p", (["responder://alice"], 300))
    await silence(stage, "upgrade", 'team="db"')
    await stage.here.open("fires", policy_id="p", **DB)
    await stage.stop(stage.here)
    replica = await stage.replica()
    replica.clock.advance(HOUR)
    assert await stage.pages(1) == [("fires", 1, ["alice"])]


async def test_thousands_are_paused_and_released(stage: World) -> None:
    """In batches, each once."""
    for _ in range(2):
        await stage.here.batch(*(TriggerAlertRequest(title="storm", **DB) for _ in range(700)))
    await silence(stage, "storm", 'team="db"')

    async def counted(state: str) -> int:
        ((number,),) = await stage.rows("select count(*) from alerts where state = %s", state)
        return int(number)

    async def all_in(state: str) -> bool:
        return await counted(state) == 1_400

    await eventually(lambda: all_in("SUPPRESSED"))
    await expire(stage, "storm")
    await eventually(lambda: all_in("OPEN"))
    rows = await stage.rows(
        "select type, count(*), count(distinct subject) from outbox group by 1 order by 1"
    )
    counts = {kind: (number, subjects) for kind, number, subjects in rows}
    assert counts["alert.suppressed"] == (1_400, 1_400)
    assert counts["alert.opened"] == (2_800, 1_400)


async def test_another_silence_goes_on(stage: World) -> None:
    """The alert says which one keeps it quiet."""
    await silence(stage, "a", 'team="db"')
    await silence(stage, "b", 'team="db"', lasts=2 * HOUR)
    alert = await stage.here.open(**DB)
    stage.advance(hours=1)
    await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/b")
    assert await stage.happened(alert) == ["suppressed", "suppressed"]


async def test_what_somebody_has_taken_stays_theirs(stage: World) -> None:
    """Until it is open again: a step that nobody has asked for is not taken then."""
    await stage.here.policy("p", (["responder://alice"], 300), (["responder://bob"], 300))
    alert = await stage.here.open(policy_id="p", **DB)
    await stage.pages(1)
    await stage.here.acknowledge(alert)
    await silence(stage, "upgrade", 'team="db"')
    await reviewed(stage)
    assert (await stage.here.get(alert)).state == Alert.ACKED
    await stage.here.alerts.EscalateAlert(EscalateAlertRequest(alert_id=alert.alert_id, level=1))
    assert len(await stage.pages(2)) == 2
    stage.advance(minutes=6)
    await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/upgrade")
    assert len(await stage.pages(2)) == 2


async def test_what_a_replica_opened_before_it_heard_of_the_silence_is_not_paged(stage: World) -> None:
    """Its step looks again."""
    await stage.here.policy("p", (["responder://alice"], 300), (["responder://bob"], 300))
    alert = await stage.here.open(policy_id="p", **DB)
    await stage.pages(1)
    await silence(stage, "upgrade", 'team="db"')
    await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/upgrade")
    await reviewed(stage)
    await stage.rows(
        """with opened as (
            update alerts set state = 'OPEN', suppressed_by = '' where alert_id = %s returning alert_id)
        insert into timers (alert_id, kind, due_at, level, round, reason, targets, ready_at)
        select alert_id, 'ESCALATE', now(), 1, 0, 'INITIAL', '{}', now() from opened returning 1""",
        alert.alert_id,
    )
    await stage.here.run(alert)
    await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/upgrade")
    assert len(await stage.pages(1)) == 1


async def test_a_recurring_silence_comes_and_goes(stage: World) -> None:
    """Its next window is visible; it silences within windows alone."""
    start = stage.now + HOUR
    made = await silence(stage, "nightly", 'team="db"', start=start, every="FREQ=DAILY")
    assert (made.state, made.HasField("ends_at")) == (SilenceRule.PENDING, False)
    opens = wire.instant(made, "window_starts_at")
    assert opens is not None
    assert abs(opens - start) < timedelta(seconds=1)
    alert = await stage.here.open(**DB)
    assert alert.state == Alert.OPEN
    stage.advance(minutes=61)
    await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/nightly")
    request = GetSilenceRuleRequest(silence_rule_id="nightly")
    assert (await stage.here.noise.GetSilenceRule(request)).state == SilenceRule.ACTIVE
    stage.advance(hours=1)
    await becomes(stage, alert, Alert.OPEN)
    between = await stage.here.noise.GetSilenceRule(request)
    assert between.state == SilenceRule.PENDING
    again = wire.instant(between, "window_starts_at")
    assert again is not None
    assert timedelta(hours=22) < again - opens < timedelta(hours=26)
    await expire(stage, "nightly")
    assert (await stage.here.noise.GetSilenceRule(request)).state == SilenceRule.EXPIRED


async def test_a_recurrence_is_checked(stage: World) -> None:
    """Every wrong field is named."""
    rule = SilenceRule(matchers=['team="db"'], recurrence=Recurrence(rrule="FREQ=SECONDLY", time_zone="Mars"))
    with pytest.raises(Invalid) as raised:
        await stage.here.noise.CreateSilenceRule(CreateSilenceRuleRequest(silence_rule=rule))
    paths = [field.path for field in raised.value.fields]
    assert paths == ["recurrence.duration", "recurrence.time_zone", "recurrence.rrule"]


async def test_a_review_that_was_cut_off_is_begun_again(stage: World) -> None:
    """When the lease of whoever claimed it runs out; what has been decided already stays as it is."""
    first, second = [await stage.here.open(f"a{n}", **DB) for n in range(2)]
    start = stage.now + HOUR
    await silence(stage, "upgrade", 'team="db"', start=start)
    await reviewed(stage)
    await stage.rows(
        "update reviews set ready_at = %s, claim = gen_random_uuid() returning 1",
        start + timedelta(seconds=20),
    )
    stage.advance(minutes=60, seconds=1)
    third = await stage.here.open("a2", **DB)
    assert third.suppressed_by == "silence-rules/upgrade"
    assert (await stage.here.get(first)).state == Alert.OPEN
    stage.advance(seconds=20)
    for alert in (first, second):
        await becomes(stage, alert, Alert.SUPPRESSED, "silence-rules/upgrade")
    await reviewed(stage)
    assert (await stage.happened(third)) == ["suppressed"]


async def test_silences_come_and_go_in_a_storm(stage: World) -> None:
    """Through two replicas that hear of them late: in the end everything that fires is open."""
    other = await stage.replica()
    alerts: list[Alert] = []

    async def storm() -> None:
        for n in range(40):
            alert = await (stage.here, other)[n % 2].open(f"a{n}", **DB)
            alerts.append(alert)

    async def silences() -> None:
        for n in range(6):
            await silence(stage, f"s{n}", 'team="db"')
            await expire(stage, f"s{n}")

    await asyncio.gather(storm(), silences())
    stage.advance(seconds=6)
    for alert in alerts:
        await becomes(stage, alert, Alert.OPEN)
        happened = await stage.happened(alert)
        turns = [one for one in happened if one in ("suppressed", "opened")]
        assert ("opened", "opened") not in pairwise(turns), happened
