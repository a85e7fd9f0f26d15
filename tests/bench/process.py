"""A service as a process of its own for a bench."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cli.stack.services import grpc_healthy

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


@contextmanager
def service(name: str, environment: Mapping[str, str], address: str) -> Iterator[None]:
    """Runs `python -m services.<name>` and waits until it is healthy."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"services.{name}"], cwd=ROOT, env={**os.environ, **environment}
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not grpc_healthy(address):
            assert process.poll() is None, f"{name} ended"
            assert time.monotonic() < deadline, f"{name} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(15)
