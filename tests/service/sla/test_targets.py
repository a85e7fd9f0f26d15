"""Targets over the API, and their promises: told of once and in time, whichever replica gets to them."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from chassis import wire
from chassis.errors import AlreadyExists, Invalid, NotFound
from tests.fixtures.eventually import eventually
from tests.service.chassis.conftest import running
from tests.service.sla.world import World
from tests.unit.sla.histories import History, Severity
from tocsin.sla.v1 import events_pb2, sla_pb2
from tocsin.sla.v1.sla_service_pb2 import (
    CreateSlaTargetRequest,
    DeleteSlaTargetRequest,
    GetSlaBudgetRequest,
    ListSlaBreachesRequest,
    ListSlaTargetsRequest,
)

Weekday = sla_pb2.BusinessWindow.Weekday
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
EVENTS: dict[str, Any] = {
    "sla.at_risk": events_pb2.SlaAtRiskEvent,
    "sla.breached": events_pb2.SlaBreachedEvent,
}


def seconds(number: float) -> Duration:
    """A length as requests carry it."""
    made = wire.duration(timedelta(seconds=number))
    assert made is not None
    return made


async def create(
    world: World, target_id: str = "quick", *, request_id: str = "", **fields: Any
) -> sla_pb2.SlaTarget:
    """A target of two seconds to acknowledge, unless told otherwise."""
    given: dict[str, Any] = {"acknowledge_within": seconds(2), "at_risk_share": 0.5} | fields
    draft = sla_pb2.SlaTarget(target_id=target_id, **given)
    return await world.sla.CreateSlaTarget(CreateSlaTargetRequest(target=draft, request_id=request_id))


async def promise(world: World, **fields: Any) -> None:
    """A target that has existed for a while: the service's clock and the test's may differ by a little."""
    await create(world, **fields)
    await world.run("update targets set created_at = created_at - interval '1 day'")


async def heard(world: World) -> list[tuple[str, str, datetime]]:
    """Every event that the service has published: its type, the alert, when it was told."""
    info = await world.js.stream_info("TOCSIN_SLA")
    found = []
    for seq in range(1, info.state.last_seq + 1):
        message = await world.js.get_msg("TOCSIN_SLA", seq)
        event = EVENTS[message.subject or ""].FromString(message.data or b"")
        found.append((message.subject or "", event.breach.alert_id, event.at.ToDatetime(UTC)))
    return found


async def until_heard(world: World, *expected: tuple[str, History]) -> list[tuple[str, str, datetime]]:
    """Waits for exactly these events, in this order; each comes once."""
    wanted = [(kind, str(history.alert_id)) for kind, history in expected]

    async def complete() -> list[tuple[str, str, datetime]] | None:
        events = await heard(world)
        return events if len(events) >= len(wanted) else None

    events = await eventually(complete)
    assert events is not None
    assert [(kind, alert) for kind, alert, _ in events] == wanted
    return events


async def written(world: World) -> list[datetime]:
    """When the rows of the events came to be, by the clock of the machine: the instant in their ids."""
    return await world.rows("select uuid_extract_timestamp(id) from outbox order by seq")


async def breaches(world: World, **filters: Any) -> Sequence[sla_pb2.SlaBreach]:
    """What was broken."""
    return (await world.sla.ListSlaBreaches(ListSlaBreachesRequest(**filters))).breaches


async def now(world: World) -> datetime:
    """The database's time."""
    (at,) = await world.rows("select clock_timestamp()")
    return at  # type: ignore[no-any-return]


async def test_a_target_comes_back_as_it_was_made(world: World) -> None:
    """With its defaults; a request that is repeated makes no second one."""
    hours = sla_pb2.BusinessHours(
        time_zone="Europe/Berlin",
        windows=[
            sla_pb2.BusinessWindow(weekdays=[Weekday.MON, Weekday.FRI], start_time="09:00", end_time="17:30")
        ],
    )
    made = await create(
        world,
        request_id="r1",
        matchers=['severity="CRITICAL"'],
        business_hours=hours,
        at_risk_share=0,
        resolve_within=seconds(14_400),
    )
    assert (made.display_name, made.at_risk_share, made.objective) == ("quick", 0.75, 0.99)
    assert made.budget_window.seconds == 30 * 86_400
    assert made.business_hours == hours
    assert await create(world, request_id="r1") == made
    await create(world, "slow")
    listed = await world.sla.ListSlaTargets(ListSlaTargetsRequest(page_size=1))
    assert listed.targets == [made]
    rest = await world.sla.ListSlaTargets(
        ListSlaTargetsRequest(page_size=1, page_token=listed.next_page_token)
    )
    assert [target.target_id for target in rest.targets] == ["slow"]
    assert not rest.next_page_token
    with pytest.raises(AlreadyExists):
        await create(world)


async def test_every_wrong_field_is_named(world: World) -> None:
    """At once, and nothing is made."""
    hours = sla_pb2.BusinessHours(time_zone="Mars", windows=[sla_pb2.BusinessWindow(start_time="25:00")])
    with pytest.raises(Invalid) as raised:
        await create(
            world,
            "Not an id",
            matchers=["nonsense", 'a=~"("'],
            acknowledge_within=seconds(0.1),
            business_hours=hours,
            at_risk_share=2,
            objective=-1,
            budget_window=seconds(5),
        )
    assert [field.path for field in raised.value.fields] == [
        "target_id", "matchers[0]", "matchers[1]", "acknowledge_within", "budget_window",
        "business_hours.time_zone", "business_hours.windows[0].start_time", "business_hours.windows[0].end_time",
        "at_risk_share", "objective",
    ]  # fmt: skip
    with pytest.raises(Invalid, match="acknowledge_within: promises nothing"):
        await world.sla.CreateSlaTarget(CreateSlaTargetRequest(target=sla_pb2.SlaTarget(target_id="t")))
    assert not (await world.sla.ListSlaTargets(ListSlaTargetsRequest())).targets


@dataclass
class Noise:
    """By how much this machine was late, at worst, for what was due at the same time as the promises."""

    late: timedelta = timedelta()

    async def listen(self, world: World) -> None:
        """Sleeps and asks the database, again and again: what the service does when nothing is due, without Tocsin."""
        while True:
            began = time.monotonic()
            await asyncio.sleep(0.01)
            await world.rows("select clock_timestamp()")
            self.late = max(self.late, timedelta(seconds=time.monotonic() - began - 0.01))


@asynccontextmanager
async def noise(world: World) -> AsyncIterator[Noise]:
    """Measures the machine for the length of the block: the service runs on this same event loop."""
    heard = Noise()
    async with running(heard.listen(world)):
        yield heard


async def test_at_risk_then_breached_once_by_two_replicas(world: World) -> None:
    """Those that match, within a second; whoever was taken in time is not told of."""
    await world.replica()
    await promise(world, matchers=['severity="CRITICAL"'], acknowledge_within=seconds(4))
    opened = await now(world)
    late, quick, low = (
        History(opened_at=opened),
        History(opened_at=opened),
        History(opened_at=opened, severity=Severity.LOW),
    )
    async with noise(world) as machine:
        await world.tell(late.opened(), quick.opened().acknowledged(MINUTE / 60), low.opened())
        events = await until_heard(world, ("sla.at_risk", late), ("sla.breached", late))
    rows = await written(world)
    for (_, _, at), written_at, due in zip(events, rows, (2, 4), strict=True):
        assert timedelta() <= at - opened - due * SECOND < SECOND + 2 * machine.late
        assert written_at - opened - due * SECOND < SECOND + 3 * machine.late
    (breach,) = await breaches(world)
    assert (breach.alert_id, breach.target_id, breach.kind) == (
        str(late.alert_id),
        "quick",
        sla_pb2.SlaBreach.ACKNOWLEDGE,
    )
    assert wire.instant(breach, "breached_at") == opened + 4 * SECOND
    assert not await breaches(world, start=wire.timestamp(opened + 4.5 * SECOND))
    assert not await breaches(world, target_id="other")


async def test_what_was_due_while_nobody_was_there_is_told_at_once(world: World) -> None:
    """After a restart, once."""
    await promise(world, acknowledge_within=seconds(5), at_risk_share=0.99)  # long enough to stop before
    history = History(opened_at=await now(world))
    await world.tell(history.opened())
    await world.stop()
    due = history.opened_at + 5 * SECOND

    async def over() -> bool:
        return await now(world) > due

    await eventually(over)
    await world.replica()
    back = await now(world)
    async with noise(world) as machine:
        await world.replica()
        [(_, _, at)] = await until_heard(world, ("sla.breached", history))
    assert at - back < SECOND + 2 * machine.late
    (breach,) = await breaches(world)
    assert not breach.HasField("settled_at")


async def test_late_news_takes_a_breach_back(world: World) -> None:
    """It was told of, and stays on the record as retracted; the budget counts it as kept."""
    await promise(world)
    history = History(opened_at=await now(world))
    await world.tell(history.opened())

    async def broken() -> bool:
        return len(await breaches(world)) == 1

    await eventually(broken)
    assert (await budget(world)).broken == 1
    history.acknowledged(SECOND)
    await world.publish(history.events[1:])
    await world.taken(history.events)
    (breach,) = await breaches(world)
    assert breach.retracted
    assert wire.instant(breach, "settled_at") == history.opened_at + SECOND
    found = await budget(world)
    assert (found.made, found.kept, found.broken, found.share) == (1, 1, 0, 1)


async def budget(world: World) -> sla_pb2.BudgetFigures:
    """How the target stands with acknowledgements."""
    return (await world.sla.GetSlaBudget(GetSlaBudgetRequest(target_id="quick"))).acknowledge


async def test_budgets(world: World) -> None:
    """Nothing decided gives nothing; three of four kept burn five times as fast as a budget of 5 % allows."""
    await promise(world, objective=0.95, acknowledge_within=seconds(600), resolve_within=seconds(1200))
    assert not (await budget(world)).HasField("share")
    opened = await now(world) - 19 * MINUTE
    taken = [History(opened_at=opened).opened().acknowledged(n * MINUTE) for n in (1, 2, 3)]
    late = History(opened_at=opened).opened().acknowledged(11 * MINUTE)
    await world.tell(*taken, late, History(opened_at=opened + 18 * MINUTE).opened())

    async def told() -> bool:
        found = await budget(world)
        return (found.made, found.kept, found.broken) == (5, 3, 1)

    await eventually(told)
    found = await world.sla.GetSlaBudget(GetSlaBudgetRequest(target_id="quick"))
    assert found.acknowledge.share == pytest.approx(0.75)
    assert found.acknowledge.burn_rate == pytest.approx(5)
    assert found.acknowledge.budget_left == pytest.approx(-4)
    assert [rate.burn_rate for rate in found.acknowledge_burn_rates] == pytest.approx([5] * 4)
    assert (found.resolve.made, found.resolve.HasField("share")) == (5, False)


async def test_a_target_that_is_gone_promises_nothing(world: World) -> None:
    """Its breaches stay."""
    await promise(world)
    history = History(opened_at=await now(world))
    await world.tell(history.opened())

    async def broken() -> bool:
        return len(await breaches(world)) == 1

    await eventually(broken)
    waiting = History(opened_at=await now(world) + MINUTE)  # not broken before the target is gone
    await world.tell(waiting.opened())
    await world.sla.DeleteSlaTarget(DeleteSlaTargetRequest(target_id="quick"))
    assert await world.rows("select count(*) from promises where next_at is not null") == [0]
    assert len(await breaches(world)) == 1
    for call in (
        world.sla.DeleteSlaTarget(DeleteSlaTargetRequest(target_id="quick")),
        world.sla.GetSlaBudget(GetSlaBudgetRequest(target_id="quick")),
    ):
        with pytest.raises(NotFound):
            await call


async def test_a_new_target_is_known_to_every_replica_at_once(world: World) -> None:
    """The next event is held against it, whoever consumes."""
    await world.replica()
    await promise(world, acknowledge_within=seconds(600))
    histories = [History(opened_at=await now(world)).opened() for _ in range(20)]
    await asyncio.gather(*(world.publish(history.events) for history in histories))
    await world.taken([event for history in histories for event in history.events])
    assert await world.rows("select count(*) from promises") == [20]
