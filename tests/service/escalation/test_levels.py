"""Levels in turn, passed over, caught; triggers that make the next one hurry; alerts that are forgotten."""

import asyncio
from datetime import timedelta
from functools import partial

from chassis.wire import duration
from tests.fixtures.eventually import eventually
from tests.service.escalation.test_engine import exhausted, taken
from tests.service.escalation.test_handovers import on_call
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, AlertAction, Severity
from tocsin.escalation.v1.alert_service_pb2 import ReopenAlertRequest, TriggerAlertRequest
from tocsin.escalation.v1.policy_pb2 import (
    EscalationPolicy,
    EscalationStep,
    RepeatTrigger,
    StepCondition,
)
from tocsin.escalation.v1.policy_service_pb2 import (
    CreateEscalationPolicyRequest,
    UpdateEscalationPolicyRequest,
)

MINUTE = duration(timedelta(minutes=1))


async def made(stage: World, *steps: EscalationStep, **fields: object) -> None:
    """A policy `p` of these steps."""
    policy = EscalationPolicy(policy_id="p", steps=steps, **fields)  # type: ignore[arg-type]
    await stage.here.policies.CreateEscalationPolicy(CreateEscalationPolicyRequest(escalation_policy=policy))


async def test_in_turn_by_two_replicas(stage: World) -> None:
    """However many alerts at once: everybody is told as often as everybody else."""
    other = await stage.replica()
    people = ["alice", "bob", "carol"]
    stage.roster.on_call["oncall://db"] = people
    await made(stage, EscalationStep(targets=["oncall://db"], selection=EscalationStep.ROUND_ROBIN))
    requests = [TriggerAlertRequest(title=f"a{n}", policy_id="p") for n in range(60)]
    await asyncio.gather(*(replica.batch(*requests[n::2]) for n, replica in enumerate((stage.here, other))))
    told = [recipients for _, _, recipients in await stage.pages(60)]
    assert sorted(told) == sorted([[person] for person in people] * 20)
    assert {len(page.execution.targets) for page in stage.notify.pages.values()} == {1}


async def test_levels_that_are_passed_over_and_the_catch_all(stage: World) -> None:
    """Neither is recorded; the catch-all is told in their place, and marked."""
    critical = StepCondition(severities=[Severity.CRITICAL])
    await made(
        stage,
        EscalationStep(targets=["responder://boss"], condition=critical, ack_timeout=MINUTE),
        EscalationStep(targets=["oncall://db"], skip_if_empty=True, ack_timeout=MINUTE),
        catch_all="responder://duty",
    )
    low, high = [
        await stage.here.open(title, policy_id="p", severity=severity)
        for title, severity in (("low", Severity.LOW), ("high", Severity.CRITICAL))
    ]
    assert sorted(await stage.pages(2)) == [("high", 1, ["boss"]), ("low", 2, ["duty"])]
    assert [(one.catch_all, one.level) for one in await stage.here.steps(low)] == [(True, 2)]
    stage.advance(seconds=61)
    for alert in (low, high):
        await eventually(partial(exhausted, stage, alert))
        assert (await stage.here.get(alert)).HasField("exhausted_at")
        assert len(await stage.here.steps(alert)) == 1


async def test_the_default_policys_catch_all_is_everybodys(stage: World) -> None:
    """Of those who have chosen none."""
    default = EscalationPolicy(policy_id="default", catch_all="responder://duty")
    await stage.here.policies.UpdateEscalationPolicy(UpdateEscalationPolicyRequest(escalation_policy=default))
    await stage.here.policy("p", (["oncall://nobody"], 60))
    alert = await stage.here.open(policy_id="p")
    assert await stage.pages(1) == [("disk full", 1, ["duty"])]
    assert taken(await stage.here.steps(alert)) == [(1, "INITIAL", []), (1, "ACK_TIMEOUT", ["duty"])]


async def test_so_many_triggers_escalate_at_once(stage: World) -> None:
    """The one that opened counts; afterwards they are counted anew, through whichever replica they come."""
    other = await stage.replica()
    levels = [(["responder://alice"], 600), (["responder://bob"], 600), (["responder://carol"], 600)]
    repeat = RepeatTrigger(threshold=3, window=MINUTE)
    await stage.here.policy("p", *levels, repeat_trigger=repeat)
    alert = await stage.here.open(policy_id="p", dedup_key="k")
    await stage.steps(alert, 1)
    await stage.here.trigger(dedup_key="k")
    stage.advance(seconds=61)
    await other.trigger(dedup_key="k")
    await stage.here.trigger(dedup_key="k")
    assert await stage.here.run() == []
    assert len(await stage.here.steps(alert)) == 1
    await other.trigger(dedup_key="k")
    assert taken(await stage.steps(alert, 2))[1] == (2, "REPEAT_TRIGGER", ["bob"])
    await stage.here.trigger(dedup_key="k")
    await other.trigger(dedup_key="k")
    assert await stage.here.run() == []
    assert len(await stage.here.steps(alert)) == 2
    await stage.here.trigger(dedup_key="k")
    assert taken(await stage.steps(alert, 3))[2] == (3, "REPEAT_TRIGGER", ["carol"])
    await asyncio.gather(*((stage.here, other)[n % 2].trigger(dedup_key="k") for n in range(3)))
    assert (1, "REPEAT_TRIGGER", ["alice"]) in taken(await stage.steps(alert, 4))
    await stage.here.acknowledge(alert)
    await stage.here.batch(*[TriggerAlertRequest(title="t", dedup_key="k")] * 9)
    assert (await stage.here.get(alert)).trigger_count == 20
    assert (await stage.here.run(), len(await stage.here.steps(alert))) == ([], 4)


async def test_triggers_that_come_together_escalate_as_often(stage: World) -> None:
    """In one commit with the first: level 1 is told, and the next at once, and what is over counts on."""
    await stage.here.policy(
        "p",
        *[([f"responder://p{n}"], 600.0) for n in range(4)],
        repeat_trigger=RepeatTrigger(threshold=3, window=MINUTE),
    )
    await stage.here.batch(*[TriggerAlertRequest(title="t", dedup_key="k", policy_id="p")] * 5)
    (alert,) = await stage.here.find()
    assert taken(await stage.steps(alert, 2)) == [(1, "INITIAL", ["p0"]), (2, "REPEAT_TRIGGER", ["p1"])]
    await stage.here.trigger(dedup_key="k")
    assert taken(await stage.steps(alert, 3))[2] == (3, "REPEAT_TRIGGER", ["p2"])


async def test_what_is_acknowledged_and_forgotten_opens_again(stage: World) -> None:
    """And escalates from the first level; a close in time keeps it from that."""
    await stage.here.policy("p", (["responder://alice"], 600), reopen_after=duration(timedelta(hours=1)))
    forgotten, closed = [await stage.here.open(title, policy_id="p") for title in ("forgotten", "closed")]
    await stage.pages(2)
    for alert in (forgotten, closed):
        await stage.here.acknowledge(alert)
    stage.advance(minutes=59)
    await stage.here.close(closed)
    assert await stage.here.run() == []
    stage.advance(minutes=2)
    assert (await stage.pages(3))[2] == ("forgotten", 1, ["alice"])
    assert [action.type for action in await stage.here.actions(forgotten)] == [
        AlertAction.ACK,
        AlertAction.REOPEN,
    ]
    assert await stage.happened(forgotten) == ["opened", "escalated", "acknowledged", "reopened", "escalated"]
    assert (await stage.here.get(closed)).state == Alert.CLOSED


async def test_somebody_opens_it_again(stage: World) -> None:
    """With credit; an open one stays as it is."""
    alert = await on_call(stage, "alice")
    request = ReopenAlertRequest(alert_id=alert.alert_id, note="not fixed")
    assert (await stage.here.alerts.ReopenAlert(request)).version == 2
    await stage.here.acknowledge(alert)
    again = await stage.as_("bob").alerts.ReopenAlert(request)
    assert (again.state, again.acked_by) == (Alert.OPEN, "")
    action = (await stage.here.actions(alert))[-1]
    assert (action.type, action.actor, action.note) == (AlertAction.REOPEN, "bob", "not fixed")
    assert taken(await stage.steps(alert, 2))[1] == (1, "INITIAL", ["alice"])
