"""TCP ports on this machine: which are free, and addresses as people write them."""

import errno
import os
import secrets
import socket
from dataclasses import dataclass
from typing import Self

FIRST, LAST = 20_000, 32_000
"""Below the ephemeral ranges of Linux and macOS, so that no outgoing connection takes a port between two starts."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; port 0 means "any free one"."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `HOST:PORT` or `[IPV6]:PORT`; raises ValueError with the reason."""
        host, colon, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not colon or not host:
            raise ValueError(f"{text!r} is not HOST:PORT")
        if not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"{port!r} is not a port")
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def dialled(self) -> Self:
        """The address at which a client on this machine reaches a server that listens here."""
        return type(self)(_EVERYWHERE.get(self.host, self.host), self.port)

    def answers(self) -> bool:
        """Whether somebody accepts a connection here within a second."""
        try:
            socket.create_connection((self.dialled.host, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def free(self) -> bool:
        """Whether a server could listen here now.

        Raises OSError when this machine does not have the host's address, or does not let us listen at the port.
        """
        family, kind, proto, _, where = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(where)
                probe.listen(1)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
        return True


_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # listened on by the user's wish, never dialled


class Ports:
    """Hands out free ports of one host, none of them twice.

    A port that is free now may be another's a moment later: those who start several stacks at once give each a range
    of its own by TOCSIN_PORTS, like `20000-26000`, the end not included.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        first, _, last = os.environ.get("TOCSIN_PORTS", f"{FIRST}-{LAST}").partition("-")
        self.host = host
        self._range = range(int(first), int(last))
        self._given: set[int] = set()

    def take(self) -> int:
        """A port that nobody listens on; raises OSError when two hundred guesses were all taken."""
        for _ in range(200):
            port = secrets.choice(self._range)
            if port not in self._given and Address(self.host, port).free():
                self._given.add(port)
                return port
        raise OSError(f"no free port on {self.host} in {self._range}")
