"""Postgres, NATS and the five services as child processes of one supervisor on one machine."""

import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
"""Before anything here imports gRPC: the supervisor spawns while gRPC's threads run, which gRPC would complain of."""
