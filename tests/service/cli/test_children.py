"""Child processes: kept running, forgiven, given up, and never left behind."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from cli.stack.child import Child, StartError, end_orphan, exists, wait_until, works_in
from cli.stack.keeper import TRIES, Bell, Keeper
from tests.fixtures.eventually import PATIENCE, eventually

SECOND = timedelta(seconds=1)


class Sleeper:
    """A part that answers as soon as it runs, and sleeps."""

    name = "sleeper"
    stop_signal = signal.SIGTERM
    grace = timedelta(seconds=PATIENCE)
    script = "exec sleep 60"

    def __init__(self, directory: Path) -> None:
        self.child = Child(self.name, directory=directory, log=directory / "sleeper.log")

    def prepare(self) -> None: ...

    def spawn(self) -> None:
        self.child.spawn(["/bin/sh", "-c", self.script])

    def ready(self) -> bool:
        return self.child.running


class Stubborn(Sleeper):
    """A part that does not stop when it is asked to."""

    grace = timedelta(milliseconds=300)
    script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done"

    def ready(self) -> bool:
        return "deaf" in self.child.tail()


class Broken(Sleeper):
    """A part that ends at once and never answers."""

    script = "echo the disk is missing; exit 3"

    def ready(self) -> bool:
        return False


class World:
    """A keeper at work, and what it told."""

    def __init__(self, part: Sleeper) -> None:
        self.told: list[str] = []
        self.bell = Bell()
        self.part = part
        self.keeper = Keeper(
            part, bell=self.bell, tell=lambda _, what: self.told.append(what), changed=lambda: None
        )

    async def __aenter__(self) -> "World":
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self.bell.ring)
        self.life = asyncio.create_task(self.keeper.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.life.cancel()
        await asyncio.gather(self.life, return_exceptions=True)
        self.part.child.kill()


async def test_a_killed_process_is_started_again(tmp_path: Path) -> None:
    async with World(Sleeper(tmp_path)) as world:
        await eventually(world.keeper.answers.is_set)
        first = world.part.child.pid
        world.part.child.send(signal.SIGKILL)
        await eventually(lambda: world.told[-1:] == ["is back"])
        assert world.part.child.pid != first
        assert world.told == ["is ready", "ended (SIGKILL); starting it again", "is back"]


def back(world: World, times: int) -> bool:
    """Whether the part was started again so often."""
    return world.told.count("is back") == times


async def test_a_process_that_is_killed_again_and_again_is_soon_back_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pauses grow only to a second: it is not at fault."""
    monkeypatch.setattr("cli.stack.keeper.FIRST_PAUSE", 3 * PATIENCE)
    monkeypatch.setattr("cli.stack.keeper.LONGEST_PAUSE", 3 * PATIENCE)
    async with World(Sleeper(tmp_path)) as world:
        await eventually(world.keeper.answers.is_set)
        for kills in range(1, 4):
            world.part.child.send(signal.SIGKILL)
            await eventually(partial(back, world, kills))


async def test_a_process_that_never_answers_is_given_up_with_its_last_words(tmp_path: Path) -> None:
    async with World(Broken(tmp_path)) as world:
        with pytest.raises(StartError, match=r"(?s)ended \(exit code 3\).*the disk is missing"):
            await asyncio.wait_for(world.life, PATIENCE)
        assert len(world.told) == TRIES - 1


async def test_stops_when_asked(tmp_path: Path) -> None:
    async with World(Sleeper(tmp_path)) as world:
        await eventually(world.keeper.answers.is_set)
        world.life.cancel()
        await world.keeper.stop()
        assert world.part.child.exit_code == -signal.SIGTERM


async def test_kills_what_does_not_stop(tmp_path: Path) -> None:
    async with World(Stubborn(tmp_path)) as world:
        await eventually(world.keeper.answers.is_set)
        world.life.cancel()
        await world.keeper.stop()
        assert world.part.child.exit_code == -signal.SIGKILL
        assert world.told[-1] == "does not stop: killed"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent has died")
def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from cli.stack.child import Child; import signal\n"
        f"child = Child('c', directory=Path({str(tmp_path)!r}), log=Path({str(tmp_path / 'c.log')!r}))\n"
        "child.spawn(['sleep', '60']); print(child.pid, flush=True); signal.pause()"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert exists(pid)
        parent.kill()
    assert wait_until(lambda: not works_in(pid, tmp_path), timeout=PATIENCE * SECOND)


def test_what_a_dead_parent_left_is_ended_by_its_pid_and_directory(tmp_path: Path) -> None:
    left = Child("left", directory=tmp_path, log=tmp_path / "left.log")
    left.spawn(["sleep", "60"])
    found = Child("left", directory=tmp_path, log=tmp_path / "left.log")
    found.end_leftover(first=signal.SIGTERM, grace=SECOND)
    assert not left.running


def test_a_stranger_with_the_same_pid_is_left_alone(tmp_path: Path) -> None:
    stranger = Child("stranger", directory=tmp_path, log=tmp_path / "stranger.log")
    stranger.spawn(["sleep", "60"])
    assert stranger.pid is not None
    end_orphan(stranger.pid, directory=tmp_path / "elsewhere", first=signal.SIGTERM, grace=SECOND)
    assert stranger.running
    stranger.kill()


def test_a_log_that_has_grown_is_set_aside_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.stack.child.LOG_LIMIT", 10)
    child = Child("loud", directory=tmp_path, log=tmp_path / "loud.log")
    for _ in range(2):
        child.spawn(["echo", "more than ten bytes"])
        assert wait_until(lambda: not child.running, timeout=PATIENCE * SECOND)
    assert child.log.read_text() == (tmp_path / "loud.log.1").read_text() == "more than ten bytes\n"


def test_a_child_has_a_process_group_of_its_own(tmp_path: Path) -> None:
    child = Child("apart", directory=tmp_path, log=tmp_path / "apart.log")
    child.spawn(["sleep", "60"])
    assert child.pid is not None
    assert os.getpgid(child.pid) == child.pid
    child.kill()
