"""Fixtures for all tests: `database`, `empty_database`, `broker`, `postgres`; see tests/fixtures."""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # servers are spawned while gRPC's threads run

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.nats"]
