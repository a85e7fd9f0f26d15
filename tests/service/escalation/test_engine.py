"""The engine: each level at its time, once, whoever is away and whatever is killed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from chassis.errors import DomainError, Invalid
from chassis.wire import timestamp
from tests.fixtures.eventually import BORN, eventually
from tests.fixtures.ports import PORTS
from tests.service.escalation.world import KEY, World
from tocsin.escalation.v1 import alert_service_pb2_grpc
from tocsin.escalation.v1.alert_pb2 import Alert, EscalationExecution
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy, EscalationStep
from tocsin.escalation.v1.policy_service_pb2 import UpdateEscalationPolicyRequest

INITIAL, ACK_TIMEOUT = EscalationExecution.INITIAL, EscalationExecution.ACK_TIMEOUT


async def two_levels(stage: World, **fields: int) -> None:
    """A policy `p`: alice, after a minute bob, for a minute."""
    await stage.here.policy("p", (["responder://alice"], 60), (["responder://bob"], 60), **fields)


def taken(steps: list[EscalationExecution]) -> list[tuple[int, str, list[str]]]:
    """Level, reason and recipients of each step."""
    return [
        (step.level, EscalationExecution.Reason.Name(step.reason), list(step.recipients)) for step in steps
    ]


async def test_the_levels_follow_one_another(stage: World) -> None:
    """The first at once, the next when nobody acknowledges in time; then it is exhausted, and stays open."""
    await two_levels(stage)
    alert = await stage.here.open(policy_id="p")
    assert await stage.pages(1) == [("disk full", 1, ["alice"])]
    stage.advance(seconds=50)
    assert await stage.here.run() == []
    stage.advance(seconds=11)
    assert (await stage.pages(2))[1] == ("disk full", 2, ["bob"])
    stage.advance(seconds=61)
    await eventually(lambda: exhausted(stage, alert))
    assert taken(await stage.here.steps(alert)) == [
        (1, "INITIAL", ["alice"]),
        (2, "ACK_TIMEOUT", ["bob"]),
    ]
    assert (await stage.here.get(alert)).state == Alert.OPEN
    assert (await stage.here.get(alert)).escalation_level == 2
    assert await stage.happened(alert) == ["opened", "escalated", "escalated", "escalation_exhausted"]
    assert await stage.rows("select 1 from timers") == []
    page = next(iter(stage.notify.pages.values()))
    assert page.alert.title == "disk full"
    assert page.execution.targets == ["responder://alice"]


async def exhausted(stage: World, alert: Alert) -> bool:
    """Whether nobody is left to tell."""
    return "escalation_exhausted" in await stage.happened(alert)


async def test_the_steps_are_gone_through_again(stage: World) -> None:
    """As often as the policy says."""
    await two_levels(stage, repeat_count=1)
    alert = await stage.here.open(policy_id="p")
    for count in (1, 2, 3, 4):
        await stage.pages(count)
        stage.advance(seconds=61)
    await eventually(lambda: exhausted(stage, alert))
    assert [(level, reason) for level, reason, _ in taken(await stage.here.steps(alert))] == [
        (1, "INITIAL"),
        (2, "ACK_TIMEOUT"),
        (1, "ACK_TIMEOUT"),
        (2, "ACK_TIMEOUT"),
    ]


async def test_an_acknowledgement_stops_it(stage: World) -> None:
    """So does a close; nothing is left that could tell anybody."""
    await two_levels(stage)
    alerts = [await stage.here.open(f"a{n}", policy_id="p") for n in range(2)]
    await stage.pages(2)
    await stage.here.acknowledge(alerts[0])
    await stage.here.close(alerts[1])
    assert await stage.rows("select 1 from timers") == []
    stage.advance(hours=1)
    assert await stage.here.run() == []
    await stage.pages(2)


async def test_acknowledgements_and_steps_at_once(stage: World) -> None:
    """Two replicas, a level due for all while all are acknowledged: none is told after it was taken."""
    other = await stage.replica()
    await two_levels(stage)
    results = await stage.here.batch(*(TriggerAlertRequest(title=f"a{n}", policy_id="p") for n in range(30)))
    alerts = [result.alert for result in results]
    await stage.pages(30)
    stage.advance(seconds=61)
    await asyncio.gather(
        *(replica.acknowledge(alert) for alert in alerts for replica in (stage.here, other)),
        stage.here.run(),
        other.run(),
    )
    stage.advance(hours=1)
    for replica in (stage.here, other):
        assert await replica.run() == []
    for alert in alerts:
        happened = await stage.happened(alert)
        assert happened in (
            ["opened", "escalated", "acknowledged"],
            ["opened", "escalated", "escalated", "acknowledged"],
        )
        assert len(await stage.here.steps(alert)) == happened.count("escalated")


async def test_each_step_once_by_two_replicas(stage: World) -> None:
    """However many are due in the same second."""
    other = await stage.replica()
    await two_levels(stage)
    for replica in (stage.here, other):
        await replica.batch(*(TriggerAlertRequest(title=f"a{n}", policy_id="p") for n in range(200)))
    await stage.pages(400)
    stage.advance(seconds=61)
    await asyncio.gather(stage.here.run(), other.run())
    await stage.pages(800)
    rows = await stage.rows("select alert_id, level, count(*) from executions group by 1, 2")
    assert len(rows) == 800
    assert {count for _, _, count in rows} == {1}
    told = [name for call in stage.notify.calls for name in call]
    assert len(told) == len(set(told))


async def test_roster_is_asked_once_for_many(stage: World) -> None:
    """One call for all targets of a batch, none for what is not needed."""
    await stage.here.policy("p", (["oncall://active", "oncall://db", "responder://alice"], 60))
    stage.roster.on_call = {"oncall://active": ["bob", "carol"], "oncall://db": ["carol"]}
    await stage.here.batch(*(TriggerAlertRequest(title=f"a{n}", policy_id="p") for n in range(50)))
    pages = await stage.pages(50)
    assert all(recipients == ["bob", "carol", "alice"] for _, _, recipients in pages)
    assert len(stage.roster.asked) <= 5  # with what was asked in advance: when it started, and for the policy
    assert all(sorted(asked) == sorted(set(asked)) for asked in stage.roster.asked)


async def test_nobody_to_tell_goes_on_at_once(stage: World) -> None:
    """The empty step is recorded, and the next one does not wait."""
    await stage.here.policy("p", (["oncall://nobody"], 600), (["responder://bob"], 600))
    alert = await stage.here.open(policy_id="p")
    assert await stage.pages(1) == [("disk full", 2, ["bob"])]
    assert taken(await stage.here.steps(alert)) == [(1, "INITIAL", []), (2, "ACK_TIMEOUT", ["bob"])]


async def test_nobody_at_all_is_recorded_and_exhausted(stage: World) -> None:
    """Never silently lost; a further time through the steps waits for somebody to come."""
    await stage.here.policy("p", (["oncall://a"], 60), (["oncall://b"], 60), repeat_count=1)
    alert = await stage.here.open(policy_id="p")
    await stage.steps(alert, 2)
    assert await stage.here.run() == []
    stage.advance(seconds=61)
    await eventually(lambda: exhausted(stage, alert))
    assert [level for level, _, _ in taken(await stage.here.steps(alert))] == [1, 2, 1, 2]
    assert stage.notify.pages == {}


async def test_roster_away_means_the_last_known_coverage(stage: World) -> None:
    """Marked stale; and fresh again when roster is back."""
    await stage.here.policy("p", (["oncall://db"], 60), (["oncall://db"], 60), (["oncall://db"], 60))
    stage.roster.on_call["oncall://db"] = ["alice"]
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    await stage.roster.stop()
    stage.advance(seconds=61)
    await stage.pages(2)
    stage.roster.on_call["oncall://db"] = ["bob"]
    await stage.roster.start()
    stage.advance(seconds=61)
    await stage.pages(3)
    steps = await stage.here.steps(alert)
    assert [(list(step.recipients), step.stale) for step in steps[:2]] == [
        (["alice"], False),
        (["alice"], True),
    ]
    assert [page.execution.stale for page in stage.notify.pages.values()][:2] == [False, True]


def known(stage: World, *people: str) -> Callable[[], Awaitable[bool]]:
    """Whether escalation has learned by now whom `oncall://db` means."""

    async def learned() -> bool:
        return (list(people),) in await stage.rows(
            "select responders from coverage where target = 'oncall://db'"
        )

    return learned


async def test_who_was_never_asked_for_is_known_when_roster_is_away(stage: World) -> None:
    """Roster is asked in advance: when a policy names somebody, and when somebody comes on call."""
    stage.roster.on_call["oncall://db"] = ["alice"]
    await stage.here.policy("p", (["oncall://db"], 60))
    await eventually(known(stage, "alice"))
    stage.roster.on_call["oncall://db"] = ["bob"]
    await stage.hand_over("db", "alice", "bob", at=stage.now)
    await eventually(known(stage, "bob"))
    await stage.roster.stop()
    alert = await stage.here.open(policy_id="p")
    assert await stage.pages(1) == [("disk full", 1, ["bob"])]
    assert (await stage.here.steps(alert))[0].stale


def missed(loop: str) -> float:
    """How often a loop found a peer away, in this process."""
    named = {"loop": loop, "reason": "UNAVAILABLE"}
    return REGISTRY.get_sample_value("tocsin_loop_failures_total", named) or 0


async def test_who_is_on_call_is_asked_again_as_soon_as_roster_is_back(stage: World) -> None:
    """A policy made while it was away does not wait for the next round."""
    stage.roster.on_call["oncall://db"] = ["alice"]
    await stage.roster.stop()
    await stage.here.policy("p", (["oncall://db"], 60))
    before = missed("rounds")
    await eventually(lambda: missed("rounds") > before)
    await stage.roster.start()
    await eventually(known(stage, "alice"))


@pytest.mark.usefixtures("impatient")
async def test_roster_that_does_not_answer_is_away(stage: World) -> None:
    """After a second the page goes out."""
    await stage.here.policy("p", (["oncall://db"], 60), (["oncall://db"], 60))
    stage.roster.on_call["oncall://db"] = ["alice"]
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    stage.roster.silent = True
    stage.advance(seconds=61)
    await stage.pages(2)
    assert (await stage.here.steps(alert))[1].stale


async def test_a_level_waits_for_roster_when_nobody_is_known(stage: World) -> None:
    """It is not skipped; a responder's own target needs no roster."""
    await stage.roster.stop()
    await stage.here.policy("p", (["oncall://db"], 60), (["responder://bob"], 60))
    await stage.here.policy("q", (["responder://carol"], 60))
    waiting = await stage.here.open("waits", policy_id="p")
    await stage.here.open("goes", policy_id="q")
    assert await stage.pages(1) == [("goes", 1, ["carol"])]
    assert await stage.here.steps(waiting) == []
    stage.roster.on_call["oncall://db"] = ["alice"]
    await stage.roster.start()
    stage.advance(seconds=2)
    assert (await stage.pages(2))[1] == ("waits", 1, ["alice"])


async def test_notify_away_is_told_later(stage: World) -> None:
    """Each page once it is back, except of alerts that somebody has taken meanwhile."""
    await two_levels(stage)
    await stage.notify.stop()
    late, acked = [await stage.here.open(title, policy_id="p") for title in ("late", "acked")]
    await stage.steps(late, 1)
    await stage.steps(acked, 1)
    stage.advance(seconds=61)
    await stage.steps(late, 2)
    await stage.steps(acked, 2)
    await stage.here.acknowledge(acked)
    await stage.notify.start()
    stage.advance(seconds=5)
    assert sorted(await stage.pages(2)) == [("late", 1, ["alice"]), ("late", 2, ["bob"])]
    assert await stage.rows("select 1 from pages") == []


async def waiting(stage: World) -> tuple[int, bool]:
    """How often the one page that waits was claimed, and whether it may be claimed now."""
    ((attempts, ready),) = await stage.rows("select attempts, ready_at <= clock_timestamp() from pages")
    return attempts, ready


async def not_claimed(stage: World) -> bool:
    """Whether the one page that waits was never claimed, and may be now."""
    return await waiting(stage) == (0, True)


async def test_no_page_is_claimed_while_notify_cannot_be_reached(stage: World) -> None:
    """So none waits for a lease or a pause when it is back, however long it was away and whoever was killed meanwhile."""
    await two_levels(stage)
    await stage.notify.stop()
    before = missed("pager")
    await stage.steps(await stage.here.open("waits", policy_id="p"), 1)
    await eventually(lambda: missed("pager") > before)
    await eventually(lambda: not_claimed(stage))
    await stage.notify.start()
    assert await stage.pages(1) == [("waits", 1, ["alice"])]


async def test_pages_do_not_wait_for_a_notify_that_was_unwell(stage: World) -> None:
    """That it could not take them is not held against them: the pause between two trials does not grow with them."""
    await two_levels(stage)
    stage.notify.failing = True
    await stage.here.open("waits", policy_id="p")
    await eventually(lambda: len(stage.notify.calls) >= 6)
    assert (await waiting(stage))[0] <= 1
    stage.notify.failing = False
    await stage.pages(1)


async def test_a_page_is_repeated_until_it_is_answered(stage: World) -> None:
    """Under the same execution id; what notify refuses does not hold up its neighbours."""
    await two_levels(stage)
    stage.notify.failing = True
    await stage.here.open("again", policy_id="p")
    await eventually(lambda: len(stage.notify.calls) >= 3)
    assert len({name for call in stage.notify.calls for name in call}) == 1
    stage.notify.failing = False
    await stage.pages(1)
    stage.notify.refuses = {"poison"}
    await stage.here.batch(
        *(TriggerAlertRequest(title=title, policy_id="p") for title in ("a", "poison", "b", "c"))
    )
    pages = await stage.pages(4)
    assert sorted(title for title, _, _ in pages[1:]) == ["a", "b", "c"]


async def test_another_replica_goes_on_when_one_stops(stage: World) -> None:
    """Timers are rows: nothing is due in memory alone."""
    await two_levels(stage)
    lazy = await stage.replica(engine=False)
    await stage.here.open("first", policy_id="p")
    await lazy.open("second", policy_id="p")
    assert sorted(title for title, _, _ in await stage.pages(2)) == ["first", "second"]


async def test_a_trigger_whose_answer_is_lost_can_be_repeated(stage: World) -> None:
    """The same request id answers the alert that was opened before the process died."""
    doomed = process(stage, "trigger.after_commit", TOCSIN_LISTEN=(address := f"127.0.0.1:{PORTS.take()}"))
    try:
        request = TriggerAlertRequest(title="once", request_id="r")
        alerts = alert_service_pb2_grpc.AlertServiceStub(stage.channel(address))
        with pytest.raises(DomainError):
            await alerts.TriggerAlert(request, timeout=BORN, wait_for_ready=True)
    finally:
        doomed.kill()
        doomed.wait()
    (alert,) = await stage.here.find()
    again = await stage.here.trigger("once", request_id="r")
    assert (again.alert.alert_id, again.alert.trigger_count) == (alert.alert_id, 1)


@pytest.mark.parametrize(
    "point", ["engine.after_claim", "engine.before_commit", "engine.after_commit", "pager.after_answer"]
)
async def test_a_replica_killed_at_work_is_followed(stage: World, point: str) -> None:
    """Each level is taken once, and told under one id, by whoever comes after."""
    await two_levels(stage)
    lazy = await stage.replica(engine=False)
    await stage.stop(stage.here)
    doomed = process(stage, point)
    try:
        alerts = [await lazy.open(f"a{n}", policy_id="p") for n in range(3)]
        await eventually(lambda: doomed.poll() is not None, BORN)
        assert doomed.returncode == -signal.SIGKILL
        await stage.replica()
        stage.advance(seconds=6)
        await stage.pages(3)
    finally:
        if doomed.poll() is None:
            doomed.kill()
        doomed.wait()
    for alert in alerts:
        assert taken(await lazy.steps(alert)) == [(1, "INITIAL", ["alice"])]


def process(stage: World, point: str, **told: str) -> subprocess.Popen[bytes]:
    """The service as a process of its own that dies at a point."""
    config = stage.config()
    environment = {
        "TOCSIN_DATABASE_URL": config.database_url,
        "TOCSIN_NATS_URL": config.nats_url,
        "TOCSIN_TOKEN_KEY": KEY,
        "TOCSIN_ROSTER_ADDRESS": config.roster_address,
        "TOCSIN_NOTIFY_ADDRESS": config.notify_address,
        "TOCSIN_CRASH": point,
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "services.escalation"], env={**os.environ, **environment, **told}
    )


async def test_a_run_takes_what_is_due(stage: World) -> None:
    """Of the alerts that are named, or of all."""
    quiet = await stage.replica(engine=False)
    await two_levels(stage)
    await stage.stop(stage.here)
    first, second = [await quiet.open(f"a{n}", policy_id="p") for n in range(2)]
    (step,) = await quiet.run(first)
    assert (step.alert_id, step.level, step.reason, list(step.recipients)) == (
        first.alert_id,
        1,
        INITIAL,
        ["alice"],
    )
    assert await quiet.run(first) == []
    assert [one.alert_id for one in await quiet.run()] == [second.alert_id]
    assert taken(await quiet.steps(first)) == [(1, "INITIAL", ["alice"])]


async def test_a_dry_run_changes_nothing(stage: World) -> None:
    """It answers what would be by an instant, without ids."""
    await two_levels(stage, repeat_count=1)
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    before = await stage.rows("select * from timers"), await stage.rows("select * from alerts")
    assert await stage.here.run(dry_run=True) == []
    as_of = timestamp(stage.now + timedelta(seconds=190))
    steps = await stage.here.run(dry_run=True, as_of=as_of)
    assert taken(steps) == [
        (2, "ACK_TIMEOUT", ["bob"]),
        (1, "ACK_TIMEOUT", ["alice"]),
        (2, "ACK_TIMEOUT", ["bob"]),
    ]
    assert {step.execution_id for step in steps} == {""}
    first = (await stage.here.steps(alert))[0].at.ToDatetime()
    assert [round((step.at.ToDatetime() - first).total_seconds()) for step in steps] == [60, 120, 180]
    assert (await stage.rows("select * from timers"), await stage.rows("select * from alerts")) == before
    await stage.pages(1)
    with pytest.raises(Invalid) as raised:
        await stage.here.run(as_of=as_of)
    assert [field.path for field in raised.value.fields] == ["as_of"]


async def test_a_changed_policy_is_followed_from_the_next_step_on(stage: World) -> None:
    """The level that is waited for is that of the policy as it is then."""
    await two_levels(stage)
    await stage.here.open(policy_id="p")
    await stage.pages(1)
    steps = [EscalationStep(targets=[f"responder://{name}"]) for name in ("alice", "carol")]
    await stage.here.policies.UpdateEscalationPolicy(
        UpdateEscalationPolicyRequest(escalation_policy=EscalationPolicy(policy_id="p", steps=steps))
    )
    stage.advance(seconds=61)
    assert (await stage.pages(2))[1] == ("disk full", 2, ["carol"])
