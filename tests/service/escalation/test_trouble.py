"""What goes wrong at one place stays there: a step that cannot be written, a replica that dies at its work."""

import asyncio
import signal

import psycopg
import pytest

from services.escalation.steps import BATCH
from tests.fixtures.eventually import BORN, eventually
from tests.service.escalation.noises import aggregate, becomes, expire, inhibit, reviewed, silence
from tests.service.escalation.test_engine import process, taken
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_pb2 import Alert
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest

SILENCE = "silence-rules/s"
POISON = (
    """create function refuse() returns trigger language plpgsql as $$ begin
        if (select title from alerts where alert_id = new.alert_id) = 'poison' then
            raise exception 'the test says so';
        end if;
        return new;
    end $$""",
    "create trigger refuse before insert on executions for each row execute function refuse()",
)


async def test_a_step_that_cannot_be_written_delays_no_other(stage: World) -> None:
    """It is put off alone, and taken when what was wrong is mended."""
    await stage.here.policy("p", (["responder://ada"], 600))
    url = stage.database.url("escalation")
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        for statement in POISON:
            await conn.execute(statement)
        titles = ["a", "b", "poison", "c", "d"]
        await stage.here.batch(*(TriggerAlertRequest(title=title, policy_id="p") for title in titles))
        assert sorted(title for title, _, _ in await stage.pages(4)) == ["a", "b", "c", "d"]
        await eventually(lambda: put_off(stage))
        await stage.here.open("e", policy_id="p")
        await stage.pages(5)
        await conn.execute("drop trigger refuse on executions")
    stage.advance(seconds=31)
    assert (await stage.pages(6))[5] == ("poison", 1, ["ada"])


async def test_a_storm_of_one_policy_does_not_hold_up_another(stage: World) -> None:
    """Neither its steps nor its pages stand behind all that were due before."""
    await stage.replica(engine=False)
    await stage.stop(stage.here)
    for name in ("calm", "stormy"):
        await stage.here.policy(name, ([f"responder://{name}"], 600))
    storm = [TriggerAlertRequest(title="storm", policy_id="stormy") for _ in range(3 * BATCH)]
    await stage.here.batch(*storm)
    await stage.here.open("calm", policy_id="calm")
    steps = [step.policy_id for step in await stage.here.run()]
    assert (len(steps), steps.index("calm") < 2 * BATCH) == (len(storm) + 1, True)
    await stage.here.open("calm too", policy_id="calm")
    await stage.here.run()
    await stage.replica()
    pages = [title for title, _, _ in await stage.pages(len(storm) + 2)]
    assert pages.index("calm too") < 2 * BATCH


async def put_off(stage: World) -> bool:
    """Whether a step waits longer than a lease, claimed by nobody."""
    rows = await stage.rows("select ready_at - due_at > interval '20 s' and claim is null from timers")
    return (True,) in rows


@pytest.mark.parametrize(
    "point",
    ["consumer.after_commit", "handovers.before_commit", "handovers.after_commit", "engine.before_commit"],
)
async def test_a_replica_killed_while_it_hands_over(stage: World, point: str) -> None:
    """Whoever comes is told once, by whoever comes after it."""
    stage.roster.on_call["oncall://db"] = ["ada"]
    await stage.here.policy("p", (["oncall://db"], 600))
    alert = await stage.here.open(policy_id="p")
    await stage.pages(1)
    at = stage.now
    await stage.stop(stage.here)
    stage.roster.on_call["oncall://db"] = ["bob"]
    await stage.hand_over("db", "ada", "bob", at=at)
    await dies(stage, point)
    here = await stage.replica()
    stage.advance(seconds=6)
    expected = [(1, "INITIAL", ["ada"]), (1, "SHIFT_HANDOVER", ["bob"])]

    async def handed_over() -> bool:
        return taken(await here.steps(alert)) == expected

    await eventually(handed_over)
    stage.advance(seconds=6)
    await here.run()
    assert taken(await here.steps(alert)) == expected
    await stage.pages(2)


@pytest.mark.parametrize(
    ("point", "ends"),
    [("review.after_claim", True), ("review.before_commit", True), ("review.after_commit", False)],
)
async def test_a_replica_killed_while_it_reviews(stage: World, point: str, ends: bool) -> None:
    """What a silence keeps quiet, or no more, is decided once, by whoever comes after it."""
    await stage.here.policy("p", (["responder://ada"], 600))
    await stage.replica(engine=False)
    if ends:
        await silence(stage, "s", 'team="db"')
    alerts = [await stage.here.open(f"a{n}", policy_id="p", labels={"team": "db"}) for n in range(3)]
    if not ends:
        await stage.pages(3)
    await stage.stop(stage.here)
    await (expire(stage, "s") if ends else silence(stage, "s", 'team="db"'))
    await dies(stage, point)
    await stage.replica()
    stage.advance(seconds=11)
    for alert in alerts:
        await (
            becomes(stage, alert, Alert.OPEN) if ends else becomes(stage, alert, Alert.SUPPRESSED, SILENCE)
        )
    assert len(await stage.pages(3)) == 3
    stage.advance(seconds=11)
    await reviewed(stage)
    happened = ["suppressed", "opened", "escalated"] if ends else ["opened", "escalated", "suppressed"]
    assert [await stage.happened(alert) for alert in alerts] == [happened] * 3


async def dies(stage: World, point: str) -> None:
    """Starts a replica, and waits until it has killed itself at the point."""
    doomed = process(stage, point)
    try:
        await eventually(lambda: doomed.poll() is not None, BORN)
        assert doomed.returncode == -signal.SIGKILL
    finally:
        if doomed.poll() is None:
            doomed.kill()
        doomed.wait()


async def test_two_replicas_never_wait_for_each_other_in_a_circle(stage: World) -> None:
    """Alerts that stand for others in several ways come and go at both: nothing is ended as a deadlock."""
    here, other = stage.here, await stage.replica()
    for one, two in ("ab", "bc", "ca", "ac", "cb", "ba"):
        await inhibit(stage, f"{one}-{two}", f'kind="{one}"', f'kind="{two}"')
    await aggregate(stage, "group", 'group=~".+"', by=("group",))

    async def come_and_go(number: int) -> None:
        replica = (here, other)[number % 2]
        for turn in range(8):
            kinds = "abc"[(number + turn) % 3 :] + "abc"[: (number + turn) % 3]
            results = await replica.batch(
                *(TriggerAlertRequest(title=kind, labels={"kind": kind, "group": kind}) for kind in kinds)
            )
            alerts = [one.alert for one in results]
            await asyncio.gather(*(replica.acknowledge(alert) for alert in alerts[:1]))
            await asyncio.gather(*(replica.close(alert) for alert in reversed(alerts)))

    await asyncio.gather(*map(come_and_go, range(12)))

    for replica in (here, other):
        await stage.stop(replica)  # then its connections have told of all that happened to them
    query = "select deadlocks from pg_stat_database where datname = current_database()"
    assert await stage.rows(query) == [(0,)]
