"""Handovers and people out of reach: what other services tell, once, late, twice and after an acknowledgement."""

from datetime import timedelta

from chassis.ids import uuid7
from messaging.waiting import POLL
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.escalation.test_engine import exhausted, taken
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert, EscalationExecution
from tocsin.escalation.v1.policy_pb2 import EscalationPolicy

AGAIN = timedelta(seconds=6)
"""After this the alerts of a handover have been looked for a second time."""


async def on_call(stage: World, people: str) -> Alert:
    """An alert of a level that went to the schedule `db`, where these people are on call, for ten minutes."""
    stage.roster.on_call["oncall://db"] = people.split()
    await stage.here.policy("p", (["oncall://db"], 600), (["responder://boss"], 600))
    alert = await stage.here.open(policy_id="p")
    await stage.steps(alert, 1)
    return alert


async def looked_at(stage: World) -> None:
    """Waits until no handover is left to be looked at."""

    async def done() -> bool:
        if await stage.rows("select 1 from handovers where looks = 0"):
            return False
        if await stage.rows("select 1 from handovers"):
            stage.advance(seconds=AGAIN.total_seconds())
            return False
        return await stage.rows("select 1 from timers where kind = 'HANDOVER'") == []

    await eventually(done)


async def test_open_alerts_go_to_whoever_comes(stage: World) -> None:
    """At the same level, and nothing that is waited for begins anew; who stays on call is not told again."""
    alert = await on_call(stage, "alice xena")
    stage.roster.on_call |= {"oncall://web": ["bob"], "oncall://active": ["alice", "xena"]}
    await stage.here.policy("web", (["oncall://web"], 600))
    other = await stage.here.open("other", policy_id="web")
    everyone = await stage.here.open("everyone", policy_id="default")
    await stage.pages(3)
    stage.roster.on_call["oncall://db"] = ["bob", "xena"]
    before = await stage.rows("select due_at from timers where alert_id = %s", alert.alert_id)
    await stage.hand_over("db", "alice", "bob", at=stage.now)
    steps = await stage.steps(alert, 2)
    assert taken(steps)[1] == (1, "SHIFT_HANDOVER", ["bob"])
    assert list(steps[1].targets) == ["oncall://db"]
    assert await stage.rows("select due_at from timers where alert_id = %s", alert.alert_id) == before
    await looked_at(stage)
    told = await stage.pages(5)
    assert sorted(told[3:]) == [("disk full", 1, ["bob"]), ("everyone", 1, ["bob"])]
    assert taken(await stage.here.steps(everyone))[1] == (1, "SHIFT_HANDOVER", ["bob"])
    assert len(await stage.here.steps(alert)) == 2
    assert taken(await stage.here.steps(other)) == [(1, "INITIAL", ["bob"])]
    assert await stage.happened(alert) == ["opened", "escalated", "escalated"]


async def test_a_handover_told_of_again_and_late(stage: World) -> None:
    """The same event, the same handover in another event, and one that a later one has overtaken: each person once."""
    other = await stage.replica()
    alert = await on_call(stage, "alice")
    first, event_id = stage.now, uuid7()
    stage.advance(seconds=10)
    second = stage.now
    stage.roster.on_call["oncall://db"] = ["carol"]
    await stage.hand_over("db", "bob", "carol", at=second)
    await stage.steps(alert, 2)
    await stage.hand_over("db", "alice", "bob", at=first, event_id=event_id)
    for again in (event_id, uuid7()):
        await stage.hand_over("db", "alice", "bob", at=first, event_id=again)
        await stage.hand_over("db", "bob", "carol", at=second, event_id=uuid7())
    await stage.consumed("roster", 5)
    await looked_at(stage)
    expected = [(1, "INITIAL", ["alice"]), (1, "SHIFT_HANDOVER", ["carol"])]
    assert taken(await other.steps(alert)) == expected
    stage.roster.on_call["oncall://db"] = ["alice"]
    await stage.hand_over("db", "carol", "alice", at=stage.now)
    assert taken(await stage.steps(alert, 3))[2] == (1, "SHIFT_HANDOVER", ["alice"])


async def test_what_is_acknowledged_stays_so(stage: World) -> None:
    """Nobody is told of it, unless the policy says so; then it is still acknowledged."""
    quiet = await on_call(stage, "alice")
    await stage.here.policy("q", (["oncall://db"], 600), handover=EscalationPolicy.OPEN_AND_ACKED)
    await stage.here.policy("off", (["oncall://db"], 600), handover=EscalationPolicy.OFF)
    told, off = [await stage.here.open(name, policy_id=name) for name in ("q", "off")]
    await stage.pages(3)
    for alert in (quiet, told):
        await stage.here.acknowledge(alert)
    stage.roster.on_call["oncall://db"] = ["bob"]
    await stage.hand_over("db", "alice", "bob", at=stage.now)
    assert taken(await stage.steps(told, 2))[1] == (1, "SHIFT_HANDOVER", ["bob"])
    assert (await stage.here.get(told)).state == Alert.ACKED
    await looked_at(stage)
    assert [len(await stage.here.steps(alert)) for alert in (quiet, off, told)] == [1, 1, 2]


async def test_a_level_that_is_written_while_the_shift_changes(stage: World) -> None:
    """It asked who is on call before the handover: the second look finds it."""
    await stage.here.policy("p", (["oncall://db"], 600))
    stage.roster.on_call["oncall://db"] = ["alice"]
    at = stage.now
    await stage.hand_over("db", "alice", "bob", at=at)
    await eventually(lambda: nothing_left_at_once(stage))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    stage.roster.on_call["oncall://db"] = ["bob"]
    stage.advance(seconds=AGAIN.total_seconds())
    assert taken(await stage.steps(alert, 2))[1] == (1, "SHIFT_HANDOVER", ["bob"])


async def nothing_left_at_once(stage: World) -> bool:
    """Whether each handover has been looked at once."""
    return await stage.rows("select looks from handovers") == [(1,)]


async def test_a_step_that_reaches_nobody_is_not_waited_for(stage: World) -> None:
    """When all of its people are out of reach, the next level goes at once; once, however often it is told."""
    await stage.here.policy(
        "p", (["responder://alice", "responder://bob"], 600), (["responder://carol"], 600)
    )
    alert = await stage.here.open(policy_id="p")
    (first,) = await stage.steps(alert, 1)
    await stage.out_of_reach(first, "alice")
    await stage.consumed("notification", 1)
    assert await stage.here.run() == []
    for _ in range(3):
        await stage.out_of_reach(first, "bob")
    second = (await stage.steps(alert, 2))[1]
    assert taken([second]) == [(2, "ACK_TIMEOUT", ["carol"])]
    await stage.consumed("notification", 4)
    await stage.out_of_reach(first, "alice")
    await stage.consumed("notification", 5)
    assert len(await stage.here.steps(alert)) == 2
    stage.roster.on_call["oncall://active"] = ["dave"]
    await stage.out_of_reach(second, "carol")
    caught = (await stage.steps(alert, 3))[2]
    assert (caught.catch_all, list(caught.recipients)) == (True, ["dave"])
    await stage.out_of_reach(caught, "dave")
    await eventually(lambda: exhausted(stage, alert))


async def test_one_owner_that_is_away_does_not_keep_another_from_going_around_the_broker(
    stage: World,
) -> None:
    """What notify cannot publish is fetched from it, although roster does not answer what it has."""
    await stage.here.policy("p", (["responder://alice"], 600), (["responder://carol"], 600))
    alert = await stage.here.open(policy_id="p")
    (first,) = await stage.steps(alert, 1)
    stage.keep_to_itself(first, "alice")
    later = await eventually(lambda: _further(stage, alert), timeout=2 * POLL.total_seconds() + PATIENCE)
    assert taken(later) == [(2, "ACK_TIMEOUT", ["carol"])]


async def _further(stage: World, alert: Alert) -> list[EscalationExecution]:
    """The steps after the first."""
    return (await stage.here.steps(alert))[1:]


async def test_never_after_an_acknowledgement(stage: World) -> None:
    """Neither a handover nor the news that nobody was reached brings it back."""
    alert = await on_call(stage, "alice")
    (first,) = await stage.steps(alert, 1)
    await stage.here.acknowledge(alert)
    await stage.out_of_reach(first, "alice")
    stage.roster.on_call["oncall://db"] = ["bob"]
    await stage.hand_over("db", "alice", "bob", at=stage.now)
    await stage.consumed("notification", 1)
    await looked_at(stage)
    assert (await stage.here.run(), await stage.rows("select 1 from timers")) == ([], [])
    assert len(await stage.here.steps(alert)) == 1
