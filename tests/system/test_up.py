"""`tocsin up` starts everything, keeps it up, stops it in order and goes on from its data."""

import http.client
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nats
import psycopg
import pytest

from cli.stack.child import exists
from tests.fixtures.eventually import BORN, PATIENCE, eventually
from tests.fixtures.stack import Up, running

SERVICES = ("roster", "escalation", "notify", "sla", "gateway")
PARTS = (*SERVICES, "nats", "postgres")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """A stack for the tests that leave it running."""
    with running(tmp_path_factory.mktemp("up") / "data") as up:
        yield up


def call(up: Up, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """One HTTP call with the administrator's token: status and JSON."""
    state = up.state
    where = urlsplit(state["gateway"])
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=PATIENCE)
    try:
        headers = {"authorization": f"Bearer {state['token']}", "content-type": "application/json"}
        connection.request(
            method, f"/api/alert{path}", json.dumps(body) if body is not None else None, headers
        )
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def trigger(up: Up, title: str) -> str:
    status, answer = call(up, "POST", "/alerts", {"title": title})
    assert status == 200, answer
    return str(answer["alert"]["alert_id"])


def titles(up: Up) -> set[str]:
    status, answer = call(up, "GET", "/alerts?page_size=1000")
    assert status == 200, answer
    return {alert["title"] for alert in answer["alerts"]}


async def test_stack_json_names_everything_that_answers(shared: Up) -> None:
    """Gateway, four gRPC addresses, NATS, Postgres and a token, for the owner's eyes alone."""
    state = shared.state
    assert {"gateway", "grpc", "nats", "postgres", "token"} <= state.keys()
    assert sorted(state["grpc"]) == ["escalation", "notify", "roster", "sla"]
    assert shared.path.stat().st_mode & 0o777 == 0o600
    assert call(shared, "GET", "/alerts")[0] == 200
    for address in state["grpc"].values():
        host, _, port = address.rpartition(":")
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()
    client = await nats.connect(state["nats"])
    assert {"TOCSIN_ALERT", "TOCSIN_ROSTER"} <= {
        stream.config.name for stream in await client.jetstream().streams_info()
    }
    await client.close()
    with psycopg.connect(state["postgres"]) as conn:
        superuser = conn.execute("select current_setting('is_superuser'), current_database()").fetchone()
    assert superuser == ("on", "tocsin")


def measured(up: Up) -> dict[str, set[str]]:
    """The samples that each process tells of, without their values."""
    found = {}
    for name, address in up.state["metrics"].items():
        where = urlsplit(address)
        connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=PATIENCE)
        connection.request("GET", where.path)
        answer = connection.getresponse()
        assert answer.status == 200
        lines = answer.read().decode().splitlines()
        found[name] = {line.rpartition(" ")[0] for line in lines if line and line[0] != "#"}
        connection.close()
    return found


async def test_every_process_tells_of_what_waits_in_it(shared: Up) -> None:
    """The ages and backlogs that the alarms of deploy/prometheus are about."""
    waiting = {
        "roster": ("unpublished_event", "due_timer"),
        "escalation": ("unpublished_event", "due_timer", "unsent_page"),
        "notify": ("unpublished_event", "due_timer", "unsent_page"),
        "sla": ("unpublished_event", "due_timer"),
    }
    consumed = {
        "escalation": ("TOCSIN_ROSTER", "TOCSIN_NOTIFICATION"),
        "notify": ("TOCSIN_ALERT",),
        "sla": ("TOCSIN_ALERT", "TOCSIN_NOTIFICATION"),
    }

    def told() -> bool:
        samples = measured(shared)
        for service, names in waiting.items():
            wanted = {f'tocsin_oldest_waiting_seconds{{service="{service}",what="{what}"}}' for what in names}
            wanted.add(f'tocsin_dead_letters{{service="{service}"}}')
            for stream in consumed.get(service, ()):
                wanted.add(f'tocsin_consumer_lag_events{{consumer="{service}",stream="{stream}"}}')
            assert wanted <= samples[service], wanted - samples[service]
        return bool(samples["gateway"])

    await eventually(told, timeout=2 * PATIENCE)


def test_a_second_up_on_the_same_data_is_refused(shared: Up) -> None:
    second = Up(shared.data_dir)
    assert second.process.wait(BORN) == 1
    assert f"in use by another tocsin up (pid {shared.process.pid})" in second.said()
    assert call(shared, "GET", "/alerts")[0] == 200


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        up = Up(tmp_path / "data", gateway=f"127.0.0.1:{port}")
        assert up.process.wait(BORN) == 1
    assert f"127.0.0.1:{port} is taken" in up.said()
    assert not up.path.exists()


@pytest.mark.parametrize("name", PARTS)
async def test_a_killed_process_is_started_again_at_its_address(shared: Up, name: str) -> None:
    before = shared.state
    os.kill(before["pids"][name], signal.SIGKILL)
    await eventually(lambda: shared.state["pids"][name] != before["pids"][name], timeout=BORN)
    alert_id = ""

    def answers() -> bool:
        nonlocal alert_id
        try:
            alert_id = trigger(shared, f"after the end of {name}")
        except (AssertionError, OSError, http.client.HTTPException, ValueError):
            return False
        return True

    await eventually(answers, timeout=BORN)
    assert call(shared, "GET", f"/alerts/{alert_id}")[0] == 200
    assert {key: shared.state[key] for key in ("gateway", "grpc", "nats")} == {
        key: before[key] for key in ("gateway", "grpc", "nats")
    }


@pytest.mark.timeout(300)
def test_three_lives_of_the_same_data(tmp_path: Path) -> None:
    """Drained by SIGINT, then killed without warning, then stopped by SIGTERM: nothing is lost, nothing survives."""
    with running(tmp_path / "data") as first:
        trigger(first, "first")
        of_first = first.state["pids"]
        assert first.stop(signal.SIGINT) == 0
    assert not any(exists(pid) for pid in of_first.values())
    assert not first.path.exists()

    with running(tmp_path / "data") as second:
        trigger(second, "second")
        of_second = second.state["pids"]
        second.process.kill()
        second.process.wait()

    with running(tmp_path / "data") as third:
        assert not any(exists(pid) for pid in of_second.values())
        assert titles(third) == {"first", "second"}
        assert third.stop(signal.SIGTERM) == 0


def test_an_ephemeral_stack_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path / "data", "--ephemeral") as up:
        trigger(up, "gone")
        assert up.stop() == 0
    assert not up.data_dir.exists()


def test_is_stopped_while_it_starts(tmp_path: Path) -> None:
    up = Up(tmp_path / "data")
    deadline = time.monotonic() + BORN
    while "is ready" not in up.said():
        assert time.monotonic() < deadline, up.said()
        time.sleep(0.01)
    assert up.stop() == 0
    assert not up.path.exists()
