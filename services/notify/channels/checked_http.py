"""HTTP for a library that makes its own requests: every connection is checked, limited in time, and read a little of.

`requests` makes sessions deep inside such libraries. `install` gives them an adapter that looks for the attempt of the
present context; where there is none, it does what it always did.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import requests
import requests.sessions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError
from urllib3.poolmanager import PoolManager

from services.notify.domain.networks import Networks

BODY_LIMIT = 64 * 1024
Lookup = Callable[[str, int, int], list[Any]]


@dataclass
class Attempt:
    """What a library may do in one attempt, and what came of it. `ends` is an instant of the monotonic clock."""

    networks: Networks
    lookup: Lookup
    ends: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    denied: str = ""
    trouble: str = ""
    _sockets: list[socket.socket] = field(default_factory=list)
    _over: bool = False
    _lock: Lock = field(default_factory=Lock)

    def left(self) -> float:
        """Seconds until it must be over. Raises TimeoutError when it is."""
        seconds = self.ends - time.monotonic()
        if self._over or seconds <= 0:
            raise TimeoutError("the attempt is over")
        return seconds

    def connected(self, host: str, port: int) -> socket.socket:
        """A connection to the first of a name's allowed addresses that answers. Raises OSError."""
        infos = self.lookup(host, port, 0)
        refusals = [self.networks.refusal(str(info[4][0]).partition("%")[0]) for info in infos]
        if infos and all(refusals):
            self.denied = f"the address is not allowed: {refusals[0]}"
            raise OSError(self.denied)
        problem = OSError("the name has no address")
        for (family, kind, protocol, _, address), refusal in zip(infos, refusals, strict=True):
            if refusal:
                continue
            made = socket.socket(family, kind, protocol)
            try:
                made.settimeout(self.left())
                made.connect(address)
                self._hold(made)
                return made
            except OSError as error:
                made.close()
                problem = error
        raise problem

    def end(self) -> None:
        """Cuts every connection, so that the thread that waits for one goes on."""
        with self._lock:
            self._over = True
            while self._sockets:
                held = self._sockets.pop()
                with contextlib.suppress(OSError):  # it may be gone already
                    held.shutdown(socket.SHUT_RDWR)
                held.close()

    def _hold(self, made: socket.socket) -> None:
        """Keeps a second handle: TLS takes the first one away."""
        with self._lock:
            if self._over:
                raise TimeoutError("the attempt is over")
            self._sockets.append(made.dup())


ATTEMPT: ContextVar[Attempt | None] = ContextVar("attempt", default=None)


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _connected(self)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class CheckedAdapter(HTTPAdapter):
    """Sends requests by the rules of the present attempt: no proxy, no redirect, certificates checked, 64 KiB read."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """The answer with the beginning of its body."""
        attempt = ATTEMPT.get()
        if attempt is None:
            return super().send(request, *args, **kwargs)
        verify = kwargs.get("verify") or True
        self.poolmanager = PoolManager(num_pools=1, maxsize=1)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        try:
            left = attempt.left()
            answer = super().send(request, stream=True, timeout=left, verify=verify, cert=None, proxies={})
            body = answer.raw.read(BODY_LIMIT, decode_content=True)
        except Exception as error:
            attempt.trouble = f"{type(error).__name__}: {error}"
            if isinstance(error, requests.RequestException):
                raise
            raise requests.ConnectionError(error) from error
        finally:
            self.poolmanager.clear()
        answer._content, answer._content_consumed = body, True  # as `content` would, were it to stop
        answer.headers.pop("location", None)
        attempt.status, attempt.headers, attempt.body = answer.status_code, answer.headers, body
        return answer


def install() -> None:
    """Makes every session that `requests` opens from now on use the adapter. Repeating it changes nothing."""
    setattr(requests.sessions, "HTTPAdapter", CheckedAdapter)  # noqa: B010  # it is not exported


def _connected(connection: HTTPConnection) -> socket.socket:
    attempt = ATTEMPT.get()
    assert attempt is not None, "only the adapter makes these connections"
    try:
        return attempt.connected(connection.host, connection.port)
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
