"""Keeps one part of the stack running: starts it, waits until it answers, starts it again when it ends."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from cli.stack.child import Child, StartError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between the end of a process and its next start; doubled by each early end."""
LONGEST_PAUSE_OF_KILLED = 1.0
"""The longest of one that was killed: it has not failed, and all that waits for it waits so much longer."""
STEADY = 10.0
"""A process that ran this many seconds is forgiven its earlier ends."""
TRIES = 4
"""Starts of a part that has never answered before the stack gives up."""
PROBE_PAUSE = 0.025


class Part(Protocol):
    """One process of the stack."""

    name: str
    child: Child
    stop_signal: signal.Signals
    grace: timedelta

    def prepare(self) -> None:
        """What must happen before each start; may block for a second."""

    def spawn(self) -> None:
        """Starts the process and does not wait for it."""

    def ready(self) -> bool:
        """Whether it answers; may block for a second."""


Tell = Callable[[str, str], None]
"""Told the name of a part and what happened to it."""


class Bell:
    """Wakes everybody who waits whenever some child process has ended."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wakes those who wait now."""
        self._rung.set()
        self._rung = asyncio.Event()

    async def ended(self, child: Child) -> None:
        """Returns once the child's process has ended."""
        while child.running:
            await self._rung.wait()


class Keeper:
    """The life of one part, from `run` until that is cancelled; stopping the process is for `stop`."""

    def __init__(self, part: Part, *, bell: Bell, tell: Tell, changed: Callable[[], None]) -> None:
        self.part = part
        self.answers = asyncio.Event()
        self._bell = bell
        self._tell = tell
        self._changed = changed
        self._early_ends = 0

    async def run(self) -> None:
        """Starts the part and starts it again whenever it ends.

        Raises StartError when it ends four times before it has ever answered.
        """
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            ending = await self._one_life()
            ran = loop.time() - started
            self._early_ends = 0 if ran > STEADY else self._early_ends + 1
            if not self.answers.is_set() and self._early_ends >= TRIES:
                raise StartError(
                    f"{self.part.name} does not start: {ending}\n{self.part.child.tail()}".rstrip()
                )
            self._tell(self.part.name, f"{ending}; starting it again")
            await asyncio.sleep(self._pause())

    async def _one_life(self) -> str:
        """From the start to the end of one process; tells how it ended."""
        try:
            await asyncio.to_thread(self.part.prepare)
            self.part.spawn()
        except (OSError, subprocess.SubprocessError, StartError) as error:
            return str(error)
        self._changed()
        await self._until_it_answers()
        await self._bell.ended(self.part.child)
        return f"ended ({_how(self.part.child.exit_code)})"

    async def stop(self) -> None:
        """Asks the process to end and kills it when its grace is over."""
        child = self.part.child
        child.send(self.part.stop_signal)
        try:
            await asyncio.wait_for(self._bell.ended(child), self.part.grace.total_seconds())
        except TimeoutError:
            self._tell(self.part.name, "does not stop: killed")
            child.kill()

    async def _until_it_answers(self) -> None:
        while self.part.child.running:
            if await asyncio.to_thread(self.part.ready):
                self._tell(self.part.name, "is back" if self.answers.is_set() else "is ready")
                self.answers.set()
                return
            await asyncio.sleep(PROBE_PAUSE)

    def _pause(self) -> float:
        """Seconds until the next start: none after a steady life."""
        killed = self.part.child.exit_code == -signal.SIGKILL
        longest = LONGEST_PAUSE_OF_KILLED if killed else LONGEST_PAUSE
        return min(FIRST_PAUSE * 2 ** (self._early_ends - 1), longest) if self._early_ends else 0.0


def _how(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
