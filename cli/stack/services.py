"""The five services as child processes, told everything by their environment."""

import http.client
import os
import signal
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from cli.stack.child import Child
from cli.stack.credentials import Credentials
from cli.stack.layout import GATEWAY, Layout
from cli.stack.nats import Nats
from cli.stack.ports import Address
from cli.stack.postgres import Postgres
from cli.stack.schemas import CONTEXTS, role

DATABASE = "tocsin"
LOOPBACK = "127.0.0.0/8,::1/128"
PROBE = timedelta(seconds=1)


class Service:
    """One service process: `python -m services.<name>`."""

    stop_signal = signal.SIGTERM
    grace = timedelta(seconds=10)

    def __init__(self, name: str, *, address: Address, environment: Mapping[str, str], child: Child) -> None:
        self.name = name
        self.child = child
        self._address = address
        self._environment = dict(environment)

    def prepare(self) -> None:
        """Makes its working directory, and ends a process that a dead supervisor left behind."""
        self.child.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.child.end_leftover(first=self.stop_signal, grace=self.grace)

    def spawn(self) -> None:
        """Starts the process; `ready` tells when it answers."""
        self.child.spawn([sys.executable, "-m", f"services.{self.name}"], env=self._environment)

    def ready(self) -> bool:
        """Whether it reports itself healthy within a second: the gateway over HTTP, the others over gRPC."""
        if not self._address.answers():
            return False
        address = self._address.dialled
        return _http_healthy(address) if self.name == GATEWAY else grpc_healthy(address)


def services(layout: Layout, credentials: Credentials, postgres: Postgres, nats: Nats) -> list[Service]:
    """The five services of a stack."""
    working = layout.data_dir / "services"
    made = []
    for name in (*CONTEXTS, GATEWAY):
        environment = inherited() | common(name, layout, credentials)
        if name != GATEWAY:
            environment |= {
                "TOCSIN_DATABASE_URL": postgres.url(
                    DATABASE, role=role(name), password=credentials.roles[name]
                ),
                "TOCSIN_NATS_URL": nats.url(name),
            }
        if name == "notify":
            keys = {
                "TOCSIN_RECEIPT_KEY": credentials.receipt_key,
                "TOCSIN_SECRETS_KEY": credentials.secrets_key,
            }
            environment = notify_defaults(layout) | environment | keys
        address = layout.gateway if name == GATEWAY else layout.grpc[name]
        child = Child(name, directory=working / name, log=layout.log(name))
        made.append(Service(name, address=address, environment=environment, child=child))
    return made


def inherited() -> dict[str, str]:
    """The user's environment, with this installation's packages found before any in the working directory."""
    root = Path(__file__).resolve().parents[2]
    roots = [str(place) for place in (root, root / "gen") if place.is_dir()]
    if given := os.environ.get("PYTHONPATH"):
        roots.append(given)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(roots), "PYTHONSAFEPATH": "1"}


def common(name: str, layout: Layout, credentials: Credentials) -> dict[str, str]:
    """What every service is told."""
    listen = layout.gateway if name == GATEWAY else layout.grpc[name]
    peers = {f"TOCSIN_{peer.upper()}_ADDRESS": str(address) for peer, address in layout.grpc.items()}
    return peers | {
        "TOCSIN_LISTEN": str(listen),
        "TOCSIN_METRICS_LISTEN": str(layout.metrics[name]),
        "TOCSIN_TOKEN_KEY": credentials.token_key,
    }


def notify_defaults(layout: Layout) -> dict[str, str]:
    """What notify is told unless the user's environment says otherwise: webhooks to this machine are allowed."""
    return {"TOCSIN_PUBLIC_URL": layout.gateway_url, "TOCSIN_WEBHOOK_ALLOW": LOOPBACK}


def _http_healthy(address: Address) -> bool:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=PROBE.total_seconds())
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def grpc_healthy(address: Address | str) -> bool:
    """Whether a gRPC server reports SERVING within a second."""
    import grpc  # slow to import, and needed only once everything is spawned
    from grpc_health.v1 import health_pb2

    with grpc.insecure_channel(str(address)) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=PROBE.total_seconds())
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
