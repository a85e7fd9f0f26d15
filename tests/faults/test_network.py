"""Connections that lead nowhere and lines that are slow (FAULTS 32)."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.oracle import Oracle
from tests.faults.victims import SERVICES, Victims

pytestmark = pytest.mark.timeout(240)
FOUND, BUSY = 15.0, 1.5
"""Seconds until a dead connection is noticed, and by which a busy machine may stretch that."""
MEGABIT = 125_000.0
TCP_ESTABLISHED = "01"


async def test_row_32_every_connection_half_open(victims: Victims, oracle: Oracle) -> None:
    """As when a firewall between all processes forgets what it knew: no reset, no answer; new connections work."""
    async with oracle.load():
        await oracle.more(100)
        with half_open(victims):
            took = await oracle.back_after(time.monotonic())
            await oracle.more(300)
    print(f"back after {took:.1f} s", await oracle.judge(first_page=60.0))
    assert took < FOUND * BUSY


async def test_row_32_one_megabit_to_postgres(victims: Victims, oracle: Oracle) -> None:
    """Slow is not broken: ten alerts a second are paged in time."""
    async with victims.by_proxy("escalation", "notify") as ways:
        for proxy in ways.values():
            proxy.bytes_per_second = MEGABIT
        async with oracle.load(rate=10):
            await oracle.more(200)
        print(await oracle.judge(first_page=60.0))


@contextmanager
def half_open(victims: Victims) -> Iterator[None]:
    """Packets of the connections that the services have now to one another and to the stores are dropped."""
    state = victims.state
    ports = {int(address.rpartition(":")[2]) for address in state["grpc"].values()}
    ports |= {port for url in (state["postgres"], state["nats"]) if (port := urlsplit(url).port)}
    pairs = [pair for name in (*SERVICES, "gateway") for pair in connections(victims.pid(name), ports)]
    assert len(pairs) > 15, pairs
    chain = f"FAULTS{victims.pid('gateway')}"
    if iptables("-N", chain) != 0:
        pytest.skip("no right to drop packets here (iptables)")
    try:
        for local, remote in pairs:
            for one, other in ((local, remote), (remote, local)):
                assert iptables("-A", chain, "-p", "tcp", "--sport", one, "--dport", other, "-j", "DROP") == 0
        assert iptables("-I", "INPUT", "-i", "lo", "-p", "tcp", "-j", chain) == 0
        yield
    finally:
        iptables("-D", "INPUT", "-i", "lo", "-p", "tcp", "-j", chain)
        iptables("-F", chain)
        iptables("-X", chain)


def connections(pid: int, ports: set[int]) -> list[tuple[int, int]]:
    """The local and the remote port of a process's connections to these ports."""
    sockets = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            sockets.add(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    found = []
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        (
            _,
            local,
            remote,
            state,
            *_,
        ) = fields = line.split()
        pair = tuple(int(end.rpartition(":")[2], 16) for end in (local, remote))
        if state == TCP_ESTABLISHED and pair[1] in ports and f"socket:[{fields[9]}]" in sockets:
            found.append((pair[0], pair[1]))
    return found


def iptables(*arguments: object) -> int:
    """The exit code of iptables."""
    try:
        return subprocess.run(
            ["iptables", "-w", *map(str, arguments)], capture_output=True, check=False
        ).returncode
    except FileNotFoundError:
        return -1
