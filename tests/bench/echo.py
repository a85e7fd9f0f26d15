"""The limit that rates are set against (DESIGN §7): grpc.aio under uvloop in one process, answering a no-op."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from cli.stack.ports import Ports
from cli.stack.services import grpc_healthy
from tests.bench.process import process


@contextmanager
def echoing() -> Iterator[str]:
    """The address of a server that answers `load.HEALTH` and does nothing else."""
    address = f"127.0.0.1:{Ports().take()}"
    with process("tests.bench.echo", {}, lambda: grpc_healthy(address), address):
        yield address


async def _serve(address: str) -> None:
    servicer, server = health.aio.HealthServicer(), grpc.aio.server()
    await servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
