"""The embedded NATS keeps its streams over a kill -9, and tells when a full disk has frozen it."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nats
import pytest
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from cli.stack.nats import Nats
from tests.fixtures.eventually import PATIENCE
from tests.fixtures.nats import start_nats


async def publish(server: Nats, subject: str, data: bytes, patience: float = PATIENCE) -> int:
    """Publishes once as the administrator, on a connection of its own; the sequence in the stream."""
    client = await nats.connect(server.url())
    try:
        return (await client.jetstream(timeout=patience).publish(subject, data)).seq
    finally:
        await client.close()


async def make_stream(server: Nats) -> None:
    client = await nats.connect(server.url())
    await client.jetstream().add_stream(name="KEPT", subjects=["kept.>"])
    await client.close()


async def test_keeps_ports_and_streams_over_a_kill(broker: Nats) -> None:
    await make_stream(broker)
    await publish(broker, "kept.one", b"")
    broker.child.kill()
    broker.start()
    assert await publish(broker, "kept.two", b"") == 2


def test_is_not_ready_while_stopped(broker: Nats) -> None:
    broker.stop()
    assert not broker.ready()
    assert broker.frozen() == ""


def test_its_passwords_are_for_its_owner_alone(broker: Nats) -> None:
    assert (broker.directory / "nats.conf").stat().st_mode & 0o077 == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Eight megabytes of disk; only where mounting is allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("no right to mount a small disk here")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


async def test_tells_that_a_full_disk_froze_it_and_heals_by_a_restart(small_disk: Path) -> None:
    server = start_nats(small_disk)
    await make_stream(server)
    with suppress(NatsError, APIError):
        for _ in range(20):
            await publish(server, "kept.much", bytes(900_000), patience=5)
    assert "no space left" in server.frozen()
    assert not server.has_room()
    grow(small_disk)
    assert server.has_room()
    with pytest.raises(NatsError):
        await publish(server, "kept.more", b"", patience=1)
    server.stop()
    server.start()
    assert server.frozen() == ""
    assert await publish(server, "kept.more", b"") > 1
    server.stop()


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
