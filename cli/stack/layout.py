"""Where everything of one stack is: directories and addresses, chosen once so that restarted parts are found again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cli.stack.child import StartError
from cli.stack.ports import Address, Ports
from cli.stack.schemas import CONTEXTS

HOST = "127.0.0.1"
GATEWAY = "gateway"
SERVICES = (*CONTEXTS, GATEWAY)


@dataclass(frozen=True, slots=True)
class Layout:
    """The data directory, the HTTP address of the gateway, and addresses on the loopback for all else."""

    data_dir: Path
    gateway: Address
    grpc: Mapping[str, Address]
    metrics: Mapping[str, Address]
    postgres_port: int
    nats_port: int
    nats_monitor_port: int

    @classmethod
    def choose(cls, data_dir: Path, gateway: Address) -> Self:
        """Picks a free port for everything but the gateway, and for it too when its port is 0.

        Raises StartError when the gateway's address is taken or not of this machine.
        """
        ports = Ports(HOST)
        return cls(
            data_dir=data_dir,
            gateway=_available(gateway),
            grpc={name: Address(HOST, ports.take()) for name in CONTEXTS},
            metrics={name: Address(HOST, ports.take()) for name in SERVICES},
            postgres_port=ports.take(),
            nats_port=ports.take(),
            nats_monitor_port=ports.take(),
        )

    @property
    def logs(self) -> Path:
        """The directory with a log for each part of the stack."""
        return self.data_dir / "logs"

    def log(self, name: str) -> Path:
        """The log file of a part of the stack."""
        return self.logs / f"{name}.log"

    @property
    def gateway_url(self) -> str:
        """The gateway's address for a client on this machine."""
        return f"http://{self.gateway.dialled}"


def _available(gateway: Address) -> Address:
    try:
        if gateway.port == 0:
            return Address(gateway.host, Ports(gateway.host).take())
        if gateway.free():
            return gateway
    except OSError as error:
        raise StartError(f"--gateway {gateway}: {error.strerror or error}") from None
    raise StartError(
        f"{gateway} is taken: choose another address with --gateway HOST:PORT (port 0 takes a free one)"
    )
