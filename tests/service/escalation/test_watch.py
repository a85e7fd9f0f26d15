"""Streams of what happens: nothing lost or doubled across reconnects and replicas; searches; what the watchdog finds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import psycopg
import pytest

from chassis.auth import mint
from chassis.errors import Invalid
from services.escalation.api import feed
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.escalation.test_engine import exhausted, taken
from tests.service.escalation.world import KEY, Replica, World
from tocsin.escalation.v1.alert_pb2 import Alert, Severity
from tocsin.escalation.v1.alert_service_pb2 import (
    ListAlertsRequest,
    TriggerAlertRequest,
    WatchAlertsRequest,
    WatchAlertsResponse,
)
from tocsin.escalation.v1.events_pb2 import AlertOpenedEvent

RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
LATE = """insert into outbox (id, type, subject, data, at)
    values (gen_random_uuid(), 'alert.opened', 'late', %s, clock_timestamp())"""


class Watch:
    """A stream that is open; `take` waits for its next answers."""

    def __init__(self, call: Any) -> None:
        self._answers = call.__aiter__()

    async def take(self, count: int) -> list[WatchAlertsResponse]:
        """The next answers."""
        async with asyncio.timeout(PATIENCE):
            return [await anext(self._answers) for _ in range(count)]


def metadata_of(caller: str) -> tuple[tuple[str, str], ...]:
    """The token of a caller who may watch."""
    return (("authorization", f"Bearer {mint(KEY, subject=caller, scopes=['alerts:read'])}"),)


@asynccontextmanager
async def watching(replica: Replica, caller: str = "watcher", **fields: Any) -> AsyncIterator[Watch]:
    """Watches from now on, or from a token on."""
    call = replica.alerts.WatchAlerts(WatchAlertsRequest(**fields), metadata=metadata_of(caller))
    try:
        await call.initial_metadata()
        yield Watch(call)
    finally:
        call.cancel()


def what(answers: list[WatchAlertsResponse]) -> list[tuple[str, str, int]]:
    """Title, type and version of each."""
    return [(one.alert.title, one.type.removeprefix("alert."), one.alert.version) for one in answers]


async def test_changes_are_told_as_they_come(stage: World) -> None:
    """Of all alerts, or of those that are asked for; not those of before."""
    await stage.here.policy("p", (["responder://ada"], 600))
    await stage.here.open("before", policy_id="p")
    await stage.pages(1)
    high: dict[str, Any] = {
        "severity": [Severity.HIGH],
        "matchers": ['team="db"'],
        "source": "prom",
        "policy_id": "p",
    }
    async with watching(stage.here) as every, watching(stage.here, **high) as some:
        fields = {"policy_id": "p", "severity": Severity.HIGH, "source": "prom", "labels": {"team": "db"}}
        await stage.here.open("low", **{**fields, "severity": Severity.LOW})
        await stage.here.open("other", **{**fields, "labels": {"team": "web"}})
        alert = await stage.here.open("high", **fields)
        await stage.pages(4)
        await stage.here.acknowledge(alert)
        expected = [("high", "opened", 1), ("high", "escalated", 2), ("high", "acknowledged", 3)]
        assert what(await some.take(3)) == expected
        found = await every.take(7)
        assert [one for one in what(found) if one[0] == "high"] == expected
        assert found[-1].alert.acked_by == "tester"


async def test_a_caller_has_so_many_streams(stage: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is refused, and taken when another was closed; another caller has its own."""
    monkeypatch.setattr(feed, "MOST", 2)
    async with watching(stage.here), AsyncExitStack() as streams:
        await streams.enter_async_context(watching(stage.here))
        request = stage.here.alerts.WatchAlerts(WatchAlertsRequest(), metadata=metadata_of("watcher"))
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await anext(request.__aiter__())
        assert raised.value.code() is RESOURCE_EXHAUSTED
        async with watching(stage.here, caller="another"):
            pass
        await streams.aclose()

        async def taken_again() -> bool:
            try:
                async with watching(stage.here) as watch:
                    await stage.here.open("seen")
                    return (await watch.take(1))[0].alert.title == "seen"
            except grpc.aio.AioRpcError as error:
                if error.code() is not RESOURCE_EXHAUSTED:
                    raise
                return False

        await eventually(taken_again)


async def test_no_change_is_lost_or_doubled(stage: World) -> None:
    """By callers that leave at any time and come back to any replica, while transactions overtake one another."""
    other = await stage.replica()
    replicas = (stage.here, other)
    late = AlertOpenedEvent(alert=Alert(alert_id="late", version=1), version=1).SerializeToString()
    found, token, turn = list[str](), "", 0
    async with watching(stage.here) as watch:
        await stage.here.open("first")
        token = (await watch.take(1))[0].resume_token
    async with await psycopg.AsyncConnection.connect(stage.database.url("escalation")) as slow:
        await slow.execute(LATE, (late,))
        requests = [TriggerAlertRequest(title=f"a{n}") for n in range(120)]
        await asyncio.gather(*(replicas[n % 2].batch(*requests[n * 10 : n * 10 + 10]) for n in range(12)))
        while "late 1" not in found:
            async with watching(replicas[turn % 2], resume_token=token) as again:
                for answer in await again.take(1 if turn > 20 else 7):
                    token = answer.resume_token
                    found.append(f"{answer.alert.alert_id} {answer.alert.version}")
            turn += 1
            if turn == 20:
                assert "late 1" not in found
                await slow.commit()
    end = await stage.here.open("end")
    async with watching(other, resume_token=token) as again:
        while found[-1] != f"{end.alert_id} 1":
            (answer,) = await again.take(1)
            found.append(f"{answer.alert.alert_id} {answer.alert.version}")
    rows = await stage.rows("select data from outbox order by seq")
    alerts = [AlertOpenedEvent.FromString(bytes(data)).alert for (data,) in rows]
    expected = {f"{one.alert_id} {one.version}" for one in alerts}
    assert len(found) == len(set(found))
    missing = expected - set(found)
    assert {name.split()[0] for name in missing} <= {alerts[0].alert_id, end.alert_id}
    for alert in {one.split()[0] for one in found}:
        versions = [int(one.split()[1]) for one in found if one.startswith(alert)]
        assert versions == sorted(versions)


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("x", grpc.StatusCode.INVALID_ARGUMENT),
        ("1:1:;1:1:;0;x", grpc.StatusCode.INVALID_ARGUMENT),
        ("1:1:;1:1:;0;1000", grpc.StatusCode.FAILED_PRECONDITION),
        ("1:1:;1:99999999999:;0;99999999999", grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
async def test_what_is_no_token_any_more(stage: World, token: str, code: grpc.StatusCode) -> None:
    """Is refused, as is one that this database cannot have given or that is too old."""
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        async with watching(stage.here, resume_token=token) as watch:
            await watch.take(1)
    assert raised.value.code() is code


async def test_words_of_titles_and_sources(stage: World) -> None:
    """All of them, in any case, and the last one as a beginning; nothing in them is an operator."""
    for title, source in (
        ("Disk full on db-1", "prometheus"),
        ("disk slow", "zabbix"),
        ("It's down & out", ""),
    ):
        await stage.here.open(title, source=source)
    for asked, titles in (
        ("disk", ["disk slow", "Disk full on db-1"]),
        ("DISK prom", ["Disk full on db-1"]),
        ("full disk", ["Disk full on db-1"]),
        ("db-1", ["Disk full on db-1"]),
        ("slo", ["disk slow"]),
        ("it's", ["It's down & out"]),
        ("down | disk", []),
        ("!:* ) '", []),
    ):
        assert [one.title for one in await stage.here.find(text=asked)] == titles, asked
    with pytest.raises(Invalid):
        await stage.here.find(text="x" * 201)


async def test_exhausted_alerts_stay_in_sight(stage: World) -> None:
    """Until somebody takes them, or they escalate again."""
    await stage.here.policy("p", (["responder://ada"], 60))
    lost, kept = [await stage.here.open(title, policy_id="p") for title in ("lost", "kept")]
    await stage.pages(2)
    await stage.here.acknowledge(kept)
    assert await stage.here.find(exhausted=True) == []
    stage.advance(seconds=61)
    await eventually(lambda: exhausted(stage, lost))
    (found,) = await stage.here.find(exhausted=True, state=[Alert.OPEN])
    assert (found.alert_id, found.HasField("exhausted_at")) == (lost.alert_id, True)
    await stage.here.acknowledge(lost)
    assert await stage.here.find(exhausted=True) == []


async def test_pages_of_a_list_stay_where_they_are(stage: World) -> None:
    """While others open: each alert of before once."""
    await stage.here.batch(*(TriggerAlertRequest(title=f"a{n}") for n in range(30)))
    token, found = "", list[str]()
    while True:
        request = ListAlertsRequest(page_size=7, page_token=token, state=[Alert.OPEN], text="a")
        page = await stage.here.alerts.ListAlerts(request)
        found += [alert.title for alert in page.alerts]
        await stage.here.open("a new one")
        token = page.next_page_token
        if not token:
            break
    assert sorted(found) == sorted(f"a{n}" for n in range(30))


async def test_the_watchdog_finds_what_nothing_waits_for(stage: World) -> None:
    """And has it escalate; nothing else, and nobody else's."""
    await stage.here.policy("p", (["responder://ada"], 600), (["responder://bob"], 600))
    lost, fresh, fine, acked, asleep = [await stage.here.open(f"a{n}", policy_id="p") for n in range(5)]
    await stage.pages(5)
    await stage.here.acknowledge(acked)
    ids = [alert.alert_id for alert in (lost, asleep)]
    async with await psycopg.AsyncConnection.connect(
        stage.database.url("escalation"), autocommit=True
    ) as conn:
        await conn.execute("delete from timers where alert_id = any (%s)", [ids])
        await conn.execute(
            "update alerts set snoozed_until = now() + interval '1 day' where alert_id = %s", [ids[1]]
        )
        await conn.execute("update alerts set escalation_level = 0 where alert_id = %s", [fresh.alert_id])
        await conn.execute("delete from timers where alert_id = %s", [fresh.alert_id])
    assert taken(await stage.steps(lost, 1))[:1] == [(1, "INITIAL", ["ada"])]
    second = await eventually(lambda: level_2(stage, lost))
    assert taken(second)[1] == (2, "ACK_TIMEOUT", ["bob"])
    await stage.pages(7)
    for alert in (fine, acked, asleep):
        assert len(await stage.here.steps(alert)) == 1


async def level_2(stage: World, alert: Alert) -> list[Any]:
    """The alert's steps, once there are two."""
    steps = await stage.here.steps(alert)
    return steps if len(steps) > 1 else []


@pytest.mark.usefixtures("impatient")
async def test_a_policy_that_roster_is_slow_about_delays_no_other(stage: World) -> None:
    """Not in the same batch, nor in those after it; and the slow one is told by what is known."""
    stage.roster.on_call = {"oncall://slow": ["sue"], "oncall://quick": ["ada"]}
    for name in ("slow", "quick"):
        await stage.here.policy(name, ([f"oncall://{name}"], 60), ([f"oncall://{name}"], 60))
    first = [await stage.here.open(name, policy_id=name) for name in ("slow", "quick")]
    await stage.pages(2)
    stage.roster.slow["oncall://slow"] = 30
    stage.advance(seconds=61)
    quick = (await eventually(lambda: level_2(stage, first[1])))[1]
    slow = (await eventually(lambda: level_2(stage, first[0])))[1]
    assert (quick.stale, list(quick.recipients)) == (False, ["ada"])
    assert (slow.stale, list(slow.recipients)) == (True, ["sue"])
    asked = [set(targets) for targets in stage.roster.asked[2:]]
    assert {"oncall://quick"} in asked
    stage.advance(seconds=61)
    await stage.here.batch(*(TriggerAlertRequest(title=f"q{n}", policy_id="quick") for n in range(3)))
    await stage.pages(7)
