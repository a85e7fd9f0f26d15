"""Fixtures for all tests: `database`, `empty_database`, `broker`, `postgres`; see tests/fixtures."""

import os
import signal

import structlog
from hypothesis import settings

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # servers are spawned while gRPC's threads run
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a suite in the background ignores it, and so would its children

settings.register_profile("tocsin", deadline=None)  # a busy machine is no wrong answer
settings.load_profile("tocsin")

# Tracebacks with every variable take seconds, in which nothing else in the process goes on.
*_processors, _ = structlog.get_config()["processors"]
structlog.configure(
    processors=[
        *_processors,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

# Each worker has ports of its own: what one has found free must not be taken by another before it is used.
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
os.environ.setdefault("TOCSIN_PORTS", f"{20_000 + 6_000 * _worker}-{26_000 + 6_000 * _worker}")

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.nats"]
