"""A service as a process of its own for a bench."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from chassis.auth import mint
from cli.stack import schemas
from cli.stack.ports import Ports
from cli.stack.services import grpc_healthy
from tests.fixtures.nats import start_nats
from tests.fixtures.postgres import PASSWORDS, start_postgres

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
KEY = "bench" * 8


@contextmanager
def process(
    module: str, environment: Mapping[str, str], answers: Callable[[], bool], *arguments: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `python -m` with a module and its arguments, and gives the process when it answers."""
    started = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, env={**os.environ, **environment}
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            assert started.poll() is None, f"{module} ended"
            assert time.monotonic() < deadline, f"{module} does not answer"
            time.sleep(0.05)
        yield started
    finally:
        started.terminate()
        started.wait(15)


@contextmanager
def alone(name: str, **more: str) -> Iterator[tuple[str, str, str]]:
    """One service without peers on a Postgres and a NATS of its own: its address, a token, its database.

    `more` is what its environment needs besides.

    Auth, validation, metrics and the relay are on; escalation's engine is another replica's business here.
    """
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as directory:
        postgres, nats = start_postgres(Path(directory), fsync=True), start_nats(Path(directory))
        try:
            list(schemas.migrate(postgres.url(), PASSWORDS))
            url = schemas.role_url(postgres.url(), name, PASSWORDS[name])
            address = f"127.0.0.1:{Ports().take()}"
            environment = {
                "TOCSIN_LISTEN": address,
                "TOCSIN_DATABASE_URL": url,
                "TOCSIN_NATS_URL": nats.url(name),
                "TOCSIN_TOKEN_KEY": KEY,
                "TOCSIN_ROSTER_ADDRESS": "127.0.0.1:1",
                "TOCSIN_NOTIFY_ADDRESS": "127.0.0.1:1",
                "TOCSIN_ENGINE": "false",
                "TOCSIN_LOG_LEVEL": "warning",
                **more,
            }
            with process(f"services.{name}", environment, lambda: grpc_healthy(address)):
                yield address, mint(KEY, subject="bench", scopes=["admin"]), url
        finally:
            postgres.stop()
            nats.stop()
