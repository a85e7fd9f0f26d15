"""Fixtures for all tests: `database`, `empty_database`, `broker`, `postgres`; see tests/fixtures."""

import os
import signal

from hypothesis import settings

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # servers are spawned while gRPC's threads run
signal.signal(
    signal.SIGINT, signal.default_int_handler
)  # a suite in the background ignores it, and so would its children

settings.register_profile("tocsin", deadline=None)  # a busy machine is no wrong answer
settings.load_profile("tocsin")

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.nats"]
