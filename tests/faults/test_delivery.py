"""Deliverers that are killed, receivers that mean harm, and one team's storm, on real processes of notify (FAULTS 6-7, 20-22, 33)."""

import asyncio
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import uvloop

from chassis.auth import mint
from cli.stack.nats import Nats
from cli.stack.services import grpc_healthy
from services.notify.deliverer.pace import MOST as IN_FLIGHT
from tests.bench import stack_storm, storm
from tests.bench.deliver import ENVIRONMENT, Notify
from tests.bench.process import KEY, process
from tests.bench.receiver import Receiver, receiving
from tests.faults.hostile import hostile
from tests.fixtures.ports import PORTS
from tests.fixtures.postgres import TestDatabase
from tests.fixtures.stack import Up

PAGES = 5_000
ROUNDS = 3
DEADLINE = 10.0
"""Seconds that an attempt may take in all."""
SLACK = 1.5
"""By which both ends may measure it differently on a busy machine."""
ROOM = 20 << 20
"""Bytes that receivers may cost a deliverer."""
ENOUGH = 50.0
"""Milliseconds of the 99th percentile that are good in any case."""
SOON = 1_000.0
"""Milliseconds of it in a storm: those who had to wait for its end waited for many seconds."""

IN_TIME = 5_000.0
"""Milliseconds of it for every first page without a fault (N3)."""


@contextmanager
def deliverer(
    database: TestDatabase, broker: Nats, receiver: Receiver, **more: str
) -> Iterator[tuple[Notify, int]]:
    """A process of notify, and its id."""
    address = f"127.0.0.1:{PORTS.take()}"
    environment = {
        **ENVIRONMENT,
        "TOCSIN_LISTEN": address,
        "TOCSIN_DATABASE_URL": database.url("notify"),
        "TOCSIN_NATS_URL": broker.url("notify"),
        "TOCSIN_TOKEN_KEY": KEY,
        "TOCSIN_ROSTER_ADDRESS": "127.0.0.1:1",
        "TOCSIN_LOG_LEVEL": "error",
        "TOCSIN_WEBHOOK_ALLOW": "127.0.0.1/32",
        **more,
    }
    with process("services.notify", environment, lambda: grpc_healthy(address)) as running:
        token = mint(KEY, subject="tester", scopes=["admin"])
        yield Notify(address, token, database.url("notify"), receiver), running.pid


@pytest.mark.parametrize("point", ["deliver.after_claim", "deliver.after_send"])
def test_rows_6_and_7_one_of_two_deliverers_is_killed_in_the_middle_of_its_work(
    database: TestDatabase, broker: Nats, point: str
) -> None:
    """What it had claimed is sent when its lease has run out, each page under the one id that it has had all along."""
    with (
        receiving() as receiver,
        deliverer(database, broker, receiver) as (notify, _),
        deliverer(database, broker, receiver, TOCSIN_CRASH=point) as (_, doomed),
    ):
        names = asyncio.run(notify.people("ada", 50, "/hook"))
        uvloop.run(notify.page_together(names, PAGES))
        notify.arrived(PAGES, "/hook")
        wait_until(lambda: pending(notify) == 0, 60)
        ended = os.waitid(os.P_PID, doomed, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        assert ended.si_status == signal.SIGKILL
        arrived = Counter(route for _, route, _ in receiver.received())
        alerts = notify.alerts()
        with psycopg.connect(notify.url) as conn:
            rows = conn.execute(
                "select route_log_id::text, status, attempts from route_logs where channel = 'WEBHOOK'"
            ).fetchall()
    assert arrived.keys() == {route for route, _, _ in rows}, "one id for each page, and no other"
    assert len({alerts[route] for route in arrived}) == PAGES
    assert {status for _, status, _ in rows} == {"SENT"}
    again = sum(attempts > 1 for _, _, attempts in rows)
    assert 0 < again <= IN_FLIGHT, "the kill was in the middle, and cost no more than what was under way"
    repeats = sum(arrived.values()) - len(arrived)
    assert repeats == 0 if point == "deliver.after_claim" else 0 < repeats <= again


def test_rows_20_to_22_receivers_that_mean_harm_hold_up_nobody_and_cost_nothing(
    database: TestDatabase, broker: Nats
) -> None:
    """Those of others keep their pace, no attempt lasts longer than it may, no connection goes where none may, and the memory of
    the whole process stays flat."""
    with (
        receiving() as receiver,
        hostile() as harm,
        deliverer(database, broker, receiver) as (notify, pid),
    ):
        victims = by_hand(notify, harm.urls())
        calm = [steady(notify, f"calm{number}") for number in range(ROUNDS)]
        flat = resident(pid)
        forget_peak(pid)
        with paging(notify, victims):
            harmed = [steady(notify, f"harmed{number}") for number in range(ROUNDS)]
        grown = peak(pid) - flat
        wait_until(lambda: not untried(notify), 30)
        seen = harm.seen()
    print(f"p99 {calm} ms, with harm {harmed} ms; +{grown >> 20} MB; {seen}")
    assert kept_pace(calm, harmed)
    assert max(seen["longest"].values()) <= DEADLINE + SLACK
    assert "canary" not in seen["requests"]
    assert len(seen["requests"]) >= 12, "every kind had its turn"
    assert grown <= ROOM


def test_row_33_another_teams_pages_do_not_wait_for_the_end_of_a_storm(
    database: TestDatabase, broker: Nats
) -> None:
    """They share one process with it, so they are slower; `make bench ARGS=storm` says by how much."""
    with receiving() as receiver, deliverer(database, broker, receiver) as (notify, _):
        rounds = [storm.measure(notify, number) for number in range(ROUNDS)]
    stormy = [storm.p99(one.stormy) for one in rounds]
    print(
        f"p99 {[storm.p99(one.alone) for one in rounds]} ms, {stormy} ms in storms of {[one.lasted for one in rounds]} s"
    )
    assert min(stormy) <= SOON


def test_row_33_another_teams_alerts_do_not_wait_for_the_end_of_a_storm_of_alerts(up: Up) -> None:
    """In a whole stack, from the alert to the webhook: its steps and pages do not stand behind ten thousand others."""
    with receiving() as receiver:
        one = stack_storm.measure(up.state, receiver)
    print(f"p99 {storm.p99(one.alone)} ms, {storm.p99(one.stormy)} ms in a storm of {one.lasted} s")
    assert storm.p99(one.stormy) <= IN_TIME


def kept_pace(before: Sequence[float], during: Sequence[float]) -> bool:
    """Whether the 99th percentile stayed within twice what it was, or is good anyway, going by the best round of each.

    Who is held up is so in every round, and a machine that is busy with something else only ever makes it worse.
    """
    return min(during) <= max(2 * min(before), ENOUGH)


def by_hand(notify: Notify, urls: Mapping[str, str]) -> list[str]:
    """People with a webhook to each address, which the API would refuse in part, so that nobody but the channel is in the way."""
    names = asyncio.run(notify.people("victim", len(urls), "/never"))
    with psycopg.connect(notify.url, autocommit=True) as conn:
        for name, url in zip(names, urls.values(), strict=True):
            conn.execute("update contact_methods set address = %s where contact_method_id = %s", [url, name])
    return names


def steady(notify: Notify, name: str, seconds: float = 6.0) -> float:
    """The 99th percentile from acceptance to the bytes, in milliseconds, of pages to good receivers."""
    names = asyncio.run(notify.people(name, 20, f"/{name}"))
    return storm.p99(notify.waits(uvloop.run(notify.page_at_rate(names, seconds)), f"/{name}"))


@contextmanager
def paging(notify: Notify, names: list[str]) -> Iterator[None]:
    """New pages for these people every second until the end of the block."""
    over = threading.Event()

    def keep_on() -> None:
        while not over.wait(1):
            asyncio.run(notify.page_together(names, len(names)))

    thread = threading.Thread(target=keep_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def pending(notify: Notify) -> int:
    """Pages that are not sent."""
    with psycopg.connect(notify.url) as conn:
        found = conn.execute("select count(*) from route_logs where status = 'PENDING'").fetchone()
    assert found is not None
    return int(found[0])


def untried(notify: Notify) -> bool:
    """Whether an address waits for its first attempt."""
    with psycopg.connect(notify.url) as conn:
        query = """select 1 from route_logs r where attempts = 0 and status = 'PENDING' and not exists (
            select from route_logs o where o.address = r.address and o.attempts > 0)"""
        return conn.execute(query).fetchone() is not None


def resident(pid: int) -> int:
    """The memory of a process, in bytes."""
    return _status(pid, "VmRSS")


def peak(pid: int) -> int:
    """The most memory that it has had since `forget_peak`, in bytes."""
    return _status(pid, "VmHWM")


def forget_peak(pid: int) -> None:
    """Begins to look for the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def _status(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1]) << 10


def wait_until(condition: Callable[[], bool], timeout: float) -> None:
    """Waits for what a process elsewhere brings about."""
    ends = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < ends, f"not within {timeout} s"
        time.sleep(0.1)
