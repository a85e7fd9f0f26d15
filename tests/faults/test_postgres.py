"""Postgres restarted, its sessions ended, its answers lost, its connections taken, a transaction left open (FAULTS 10, 11, 29, 30)."""

import asyncio
import random
import signal
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import SERVICES, Victims, send
from tests.fixtures.eventually import eventually
from tests.system.world import BASE

pytestmark = pytest.mark.timeout(240)
FIRST_PAGE = 60.0
BACK, BUSY = 5.0, 3.0
"""Seconds until all is as before, and by which a busy machine may stretch that."""
LISTENING = ("roster", "escalation", "notify")
"""Services whose replicas wake one another."""
END_ALL = "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'tocsin\\_%'"
SESSIONS = "select application_name from pg_stat_activity"


@pytest.mark.parametrize("fault", ["killed", "ended"])
async def test_row_10_the_rate_is_back_within_5_s(victims: Victims, oracle: Oracle, fault: str) -> None:
    """Three times: Postgres itself killed, or each session of each service ended; listeners and relays are back, too."""
    took = []
    async with oracle.load():
        await oracle.more(100)
        for _ in range(3):
            before = time.monotonic()
            if fault == "killed":
                send(victims.pid("postgres"), signal.SIGKILL)
            else:
                await victims.ask(END_ALL)
            took.append(await oracle.back_after(before))
            await sessions(victims)
            await oracle.more(50)
    verdict = await oracle.judge(first_page=FIRST_PAGE)
    print(fault, [f"{one:.1f} s" for one in took], verdict)
    assert max(took) < BACK * BUSY


@pytest.mark.parametrize("door", ["request_id", "dedup_key"])
async def test_row_11_the_answer_to_a_commit_lost(victims: Victims, oracle: Oracle, door: str) -> None:
    """The sender hears 503 although it is done; the same request again is answered with what was done then."""
    world = oracle.world
    body = {
        "title": world.own("lost"),
        "source": world.mark,
        "policy_id": oracle.policy,
        door: world.own("r"),
    }
    async with victims.by_proxy("escalation") as ways:
        proxy = ways["escalation"]
        proxy.lose = answer_to(body["title"], commits=door == "request_id")
        status, answer = await world.call("POST", f"{BASE}/alerts", body)
        assert (status, proxy.lost) == (503, 1), answer
        (there,) = (await world.ok("GET", f"/alerts?source={world.mark}"))["alerts"]
        again = await world.ok("POST", "/alerts", body)
        assert again["alert"]["alert_id"] == there["alert_id"]
        assert again["alert"]["trigger_count"] == (1 if door == "request_id" else 2)

        await world.expect_page(oracle.ada, alert_id=there["alert_id"], timeout=20)
        for verb in ("acknowledge", "close"):
            proxy.lose = answer_to(there["alert_id"], commits=True)
            lost, refused = proxy.lost, oracle.refusals[503]
            await oracle.accepted(f"{BASE}/alerts/{there['alert_id']}:{verb}", {})
            assert (proxy.lost, oracle.refusals[503]) == (lost + 1, refused + 1)
        actions = (await world.ok("GET", f"/alerts/{there['alert_id']}/actions"))["actions"]
        assert [action["type"] for action in actions] == ["ACK", "CLOSE"]


async def test_row_11_one_answer_in_ten_lost_under_load(victims: Victims, oracle: Oracle) -> None:
    """Of everything that escalation and notify commit: triggers, steps, pages, what was sent, what was published."""
    async with victims.by_proxy("escalation", "notify") as ways:
        for proxy in ways.values():
            proxy.lose = lambda _, piece: b"COMMIT" in piece and random.random() < 0.1
        async with oracle.load():
            await oracle.more(300)
        for proxy in ways.values():
            proxy.lose = lambda _, __: False
            assert proxy.lost > 5
        verdict = await oracle.judge(first_page=FIRST_PAGE)
        print({name: proxy.lost for name, proxy in ways.items()}, verdict)


async def test_row_29_no_connection_to_be_had(victims: Victims, oracle: Oracle) -> None:
    """Every session ended and none let in, as when strangers hold them all: 503, and well 5 s after there is room."""
    async with oracle.load():
        await oracle.more(100)
        fault_at = time.monotonic()
        async with victims.admin() as conn:
            for service in SERVICES:
                await conn.execute(f"alter role tocsin_{service} connection limit 0")
            await conn.execute(END_ALL)
            refused = oracle.refusals[503]
            await eventually(lambda: oracle.refusals[503] > refused + 100, timeout=30)
            for service in SERVICES:
                await conn.execute(f"alter role tocsin_{service} connection limit -1")
            room_at = time.monotonic()
        took = await oracle.back_after(room_at, fault_at=fault_at)
    verdict = await oracle.judge(first_page=FIRST_PAGE)
    print(f"{took:.1f} s", verdict)
    assert took < BACK * BUSY


async def test_row_29_acknowledging_while_questions_fill_the_pool(victims: Victims, oracle: Oracle) -> None:
    """Sixty expensive questions at a time: acknowledging goes on, 99 of 100 within a second."""
    world, over, waits = oracle.world, asyncio.Event(), list[float]()
    alerts = [(await world.trigger(policy_id=oracle.policy))["alert"]["alert_id"] for _ in range(100)]

    async def ask() -> None:
        while not over.is_set():
            await world.call(
                "GET", f"{BASE}/alerts?page_size=1000&query=load&matchers=quiet%3D~%22x.*y.*z.*%22"
            )

    async with asyncio.TaskGroup() as asking:
        for _ in range(60):
            asking.create_task(ask())
        for alert_id in alerts:
            began = time.monotonic()
            await world.ok("POST", f"/alerts/{alert_id}:acknowledge", {})
            waits.append(time.monotonic() - began)
        over.set()
    print(f"acknowledge p50 {sorted(waits)[50]:.3f} s, p99 {sorted(waits)[98]:.3f} s")
    assert sorted(waits)[98] < 1.0 * BUSY


async def test_row_30_a_transaction_left_open(victims: Victims, oracle: Oracle) -> None:
    """Half a minute of load behind a snapshot that nobody lets go: p50 of first pages at most five times what it was."""
    async with oracle.load(rate=60):
        await oracle.more(300)
        calm = oracle.median_wait()
        async with victims.admin(autocommit=False) as conn:
            await conn.execute("set transaction isolation level repeatable read")
            await conn.execute("select count(*) from escalation.timers, escalation.outbox limit 1")
            await oracle.more(1_500)
        held = oracle.median_wait(1_000)
    verdict = await oracle.judge(first_page=FIRST_PAGE)
    print(f"p50 {calm:.3f} s, behind an open transaction {held:.3f} s", verdict)
    assert held < 5 * max(calm, 0.1)


def answer_to(words: str, *, commits: bool) -> Callable[[object, bytes], bool]:
    """Loses one answer: to what has these words, or to the COMMIT that follows it on the same connection."""
    told: set[object] = set()
    lost = False

    def lose(connection: object, piece: bytes) -> bool:
        nonlocal lost
        found = words.encode() in piece or uuid_bytes(words) in piece
        loses = not lost and (connection in told and b"COMMIT" in piece if commits else found)
        if found:
            told.add(connection)
        lost = lost or loses
        return loses

    return lose


def uuid_bytes(words: str) -> bytes:
    """How a binary parameter has an id; what is none, as it is."""
    try:
        return UUID(words).bytes
    except ValueError:
        return words.encode()


async def sessions(victims: Victims) -> None:
    """Waits until each service publishes again, and those that wake one another listen."""

    async def back() -> bool:
        async with victims.admin() as conn:
            found = {row[0] for row in await (await conn.execute(SESSIONS)).fetchall()}
        lacking = {f"tocsin-{name}-relay" for name in SERVICES} - found
        lacking |= {f"tocsin-{name}-listen" for name in LISTENING} - found
        assert not lacking, lacking
        return True

    await eventually(back, timeout=BACK * BUSY)
