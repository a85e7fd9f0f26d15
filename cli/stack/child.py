"""A child process that does not survive its parent, writes to its own log and can be found again after a crash."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from cli.stack.accounts import Account, run_as

POLL = 0.01
"""Seconds between two looks at a process that is starting or ending."""
LOG_LIMIT = 16 * 1024 * 1024
"""A log that has grown beyond this many bytes is set aside when its process starts next."""
TAIL = 1_500

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartError(Exception):
    """A part of the stack does not start; the message says which and why, for people."""


class Child:
    """One process at a time, under a name.

    `directory` is its working directory and marks it as ours: `end_leftover` finds a process that an earlier parent
    left behind by the pid recorded beside the log and by this directory.
    """

    def __init__(self, name: str, *, directory: Path, log: Path) -> None:
        self.name = name
        self.directory = directory
        self.log = log
        self._pid_file = log.with_suffix(".pid")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the last spawn, None before the first."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or when it never ran."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether the process is there; it need not answer yet."""
        return self._process is not None and self._process.poll() is None

    def spawn(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        account: Account | None = None,
        pass_fds: Sequence[int] = (),
        dies_with: signal.Signals = signal.SIGKILL,
    ) -> None:
        """Starts the process in a process group of its own; it gets `dies_with` when this process dies (Linux).

        Call it from the main thread: Linux takes the end of the spawning thread for the end of the parent.
        """
        _set_aside(self.log)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [os.fspath(part) for part in argv],
                cwd=self.directory,
                env=dict(env) if env is not None else None,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_tied_to(os.getpid(), dies_with),
                pass_fds=tuple(pass_fds),
                **run_as(account),
            )
        self._pid_file.write_text(f"{self._process.pid}\n")

    def send(self, number: signal.Signals) -> None:
        """Sends a signal, unless the process has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self, *, first: signal.Signals, grace: timedelta) -> bool:
        """Asks the process to end and kills it after `grace`; True when it went by itself."""
        if not self.running:
            return True
        assert self._process is not None
        self.send(first)
        try:
            self._process.wait(grace.total_seconds())
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        """Kills the process group and waits for the process."""
        if self._process is not None and self.running:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def end_leftover(self, *, first: signal.Signals, grace: timedelta) -> None:
        """Ends the process that an earlier parent left behind, if it is still there."""
        try:
            pid = int(self._pid_file.read_text().strip())
        except (FileNotFoundError, ValueError):
            return
        end_orphan(pid, directory=self.directory, first=first, grace=grace)

    def tail(self) -> str:
        """The end of the log, for the message about a start that failed."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - TAIL))
            return log.read().decode("utf-8", "replace").strip()


def end_orphan(pid: int, *, directory: Path, first: signal.Signals, grace: timedelta) -> None:
    """Ends process `pid` if it works in `directory`; a stranger that got the same pid is left alone."""
    try:
        for number in (first, signal.SIGKILL):
            if not works_in(pid, directory):
                return
            os.kill(pid, number)
            wait_until(lambda: not works_in(pid, directory), timeout=grace)
    except ProcessLookupError:
        return


def exists(pid: int) -> bool:
    """Whether there is a process with this id, anybody's."""
    try:
        os.kill(pid, 0)
    except OSError as error:
        return isinstance(error, PermissionError)
    return True


def works_in(pid: int, directory: Path) -> bool:
    """Whether the process exists and has `directory` as its working directory."""
    if pid == os.getpid():
        return False
    if sys.platform == "linux":
        try:
            return directory.resolve() == Path(f"/proc/{pid}/cwd").readlink()
        except OSError:
            return False
    listed = subprocess.run(
        ["lsof", "-a", "-p", str(pid), "-d", "cwd", "-Fn"], capture_output=True, text=True, check=False
    )
    return f"n{directory.resolve()}" in listed.stdout.splitlines()


def wait_until(condition: Callable[[], bool], *, timeout: timedelta) -> bool:
    """Looks every 10 ms until the condition holds; False when it does not within `timeout`."""
    deadline = time.monotonic() + timeout.total_seconds()
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _set_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def _tied_to(parent: int, number: signal.Signals) -> Callable[[], None]:
    """What the child does between fork and exec so that it dies with its parent, even if that is dead already."""

    def tie() -> None:
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(number))
            if os.getppid() != parent:
                os._exit(1)

    return tie
