"""What goes wrong at one place stays there: a step that cannot be written, a replica that dies while it hands over."""

import signal

import psycopg
import pytest

from tests.fixtures.eventually import eventually
from tests.service.escalation.test_engine import process, taken
from tests.service.escalation.world import World
from tocsin.escalation.v1.alert_service_pb2 import TriggerAlertRequest

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
    doomed = process(stage, point)
    try:
        stage.roster.on_call["oncall://db"] = ["bob"]
        await stage.hand_over("db", "ada", "bob", at=at)
        await eventually(lambda: doomed.poll() is not None, timeout=20)
        assert doomed.returncode == -signal.SIGKILL
    finally:
        if doomed.poll() is None:
            doomed.kill()
        doomed.wait()
    here = await stage.replica()
    stage.advance(seconds=6)
    expected = [(1, "INITIAL", ["ada"]), (1, "SHIFT_HANDOVER", ["bob"])]

    async def handed_over() -> bool:
        return taken(await here.steps(alert)) == expected

    await eventually(handed_over, timeout=20)
    stage.advance(seconds=6)
    await here.run()
    assert taken(await here.steps(alert)) == expected
    await stage.pages(2)
