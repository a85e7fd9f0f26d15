"""What cannot heal by itself alarms within a minute, by the rules that are shipped and a real Prometheus (N5, FAULTS 37)."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import aiohttp
import pytest
import yaml

from tests.faults.oracle import Oracle
from tests.faults.victims import Victims
from tests.fixtures.eventually import eventually
from tests.fixtures.ports import PORTS
from tests.fixtures.stack import ROOT

SHIPPED = ROOT / "deploy" / "prometheus"
BINARY = shutil.which("prometheus")
SEEN, BUSY = 60.0, 1.25
"""Seconds from a fault to its alarm, and by which a busy machine may stretch that."""

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(BINARY is None, reason="no Prometheus here: install the package prometheus"),
]


class Prometheus:
    """One that scrapes a stack as often as the shipped configuration says."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def firing(self) -> set[str]:
        """The names of the alarms that fire now."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://{self.address}/api/v1/alerts") as answer,
            ):
                alerts: list[dict[str, Any]] = (await answer.json())["data"]["alerts"]
        except aiohttp.ClientError as error:
            raise AssertionError(f"Prometheus does not answer: {error}") from None
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def scraped(self) -> bool:
        """Whether every process has been scraped twice."""
        query = "min(count_over_time(up{job='tocsin'}[5m]))"
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://{self.address}/api/v1/query", params={"query": query}) as answer,
        ):
            found = (await answer.json())["data"]["result"]
        return bool(found) and float(found[0]["value"][1]) >= 2


@pytest.fixture(scope="module")
def prometheus(victims: Victims, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """As shipped, with this stack's addresses."""
    assert BINARY is not None
    directory = tmp_path_factory.mktemp("prometheus")
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
    targets = [url.split("/")[2] for url in victims.state["metrics"].values()]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{PORTS.take()}"
    command = [
        BINARY, f"--config.file={path}", f"--storage.tsdb.path={directory / 'data'}", f"--web.listen-address={address}",
    ]  # fmt: skip
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield Prometheus(address)
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize(
    ("stopped", "alarms"),
    [
        pytest.param(
            ["nats", "notify"],
            {"TocsinEventsUnpublished", "TocsinPageUnsent", "TocsinProcessDown"},
            id="broker",
        ),
        pytest.param(["postgres"], {"TocsinWatchdogSilent"}, id="postgres"),
        pytest.param(["escalation"], {"TocsinWatchdogSilent", "TocsinProcessDown"}, id="watchdog"),
    ],
)
async def test_row_37_what_stands_still_alarms(
    victims: Victims, oracle: Oracle, prometheus: Prometheus, stopped: list[str], alarms: set[str]
) -> None:
    """Stopped rather than killed, so that nobody starts it again; nothing fires before, and the alarm ends after."""
    await eventually(prometheus.scraped, timeout=90)

    async def quiet() -> bool:
        firing = await prometheus.firing()
        assert not firing, firing
        return True

    async def loud() -> bool:
        firing = await prometheus.firing()
        assert alarms <= firing, firing
        return True

    await eventually(quiet, timeout=60)
    async with oracle.load(rate=5):
        await oracle.more(10)
        began = time.monotonic()
        with ExitStack() as still:
            for name in stopped:
                still.enter_context(victims.stopped(name))
            await eventually(loud, timeout=120)
            took = time.monotonic() - began
    await oracle.judge(first_page=120.0)
    print(f"{stopped} stopped: {sorted(alarms)} after {took:.0f} s")
    await eventually(quiet, timeout=90)
    assert took < SEEN * BUSY
