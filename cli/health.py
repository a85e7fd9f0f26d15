"""`tocsin health`: whether one service answers, for health checks of containers and for scripts."""

import http.client
import os
from pathlib import Path
from typing import Annotated, Any

import typer

PATIENCE = 3.0


def health(
    address: Annotated[
        str, typer.Argument(help="HOST:PORT of a gRPC service, or http://HOST:PORT of the gateway.")
    ],
) -> None:
    """Exit with 0 when the service reports itself healthy, with 1 and a word why when it does not."""
    problem = _http(address.removeprefix("http://")) if address.startswith("http://") else _grpc(address)
    if problem:
        typer.echo(f"{address}: {problem}", err=True)
        raise typer.Exit(1)


def _channel(address: str) -> Any:
    """A channel by the certificate that the service itself is told of; in plain text without one."""
    import grpc

    paths = [os.environ.get(f"TOCSIN_TLS_{name}", "") for name in ("CA", "KEY", "CERT")]
    if not all(paths):
        return grpc.insecure_channel(address)
    return grpc.secure_channel(
        address, grpc.ssl_channel_credentials(*(Path(path).read_bytes() for path in paths))
    )


def _http(address: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
        return "" if status == 200 else f"HTTP {status}"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def _grpc(address: str) -> str:
    import grpc
    from grpc_health.v1 import health_pb2

    with _channel(address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            return str(error.details() if isinstance(error, grpc.Call) else error)
    if answer.status == health_pb2.HealthCheckResponse.SERVING:
        return ""
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
