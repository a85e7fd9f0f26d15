"""Mutual TLS between services: certificates read again when their files change, peers allowed by name."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import grpc
import structlog

from chassis.errors import Denied

LOOK = 1.0
"""Seconds between two looks at the files."""
GRACE = 60.0
"""Seconds that calls on a channel with an old certificate may still take."""
SOON = timedelta(days=7)

_immortal: list[grpc.ServerCredentials] = []
"""Credentials of servers: grpc.aio keeps a bare pointer to them, which a handshake may follow until the process ends."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Material:
    """What is in the files: a key, the chain of its certificate, and the authorities that are believed."""

    key: bytes
    chain: bytes
    authorities: bytes

    def check(self) -> datetime:
        """When the certificate ends; raises ValueError when the files do not belong together."""
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificate, load_pem_x509_certificates

        certificate = load_pem_x509_certificate(self.chain)
        if load_pem_private_key(self.key, None).public_key() != certificate.public_key():
            raise ValueError("the key is not the certificate's")
        load_pem_x509_certificates(self.authorities)
        return certificate.not_valid_after_utc


class Tls:
    """A service's certificate and the names of those who may call it; none means everybody whom the CA knows."""

    def __init__(self, *, cert: str, key: str, ca: str, peers: frozenset[str] = frozenset()) -> None:
        """Raises ValueError or OSError when the files cannot be used."""
        self._paths = Path(key), Path(cert), Path(ca)
        self._peers = peers
        self._looked = float("-inf")
        self._stamps = self._stat()
        self._material = self._read()

    @classmethod
    def of(cls, settings: Any) -> Self | None:
        """What settings ask for; None when they name no certificate."""
        if not settings.tls_cert:
            return None
        peers = frozenset(filter(None, map(str.strip, settings.tls_peers.split(","))))
        return cls(cert=settings.tls_cert, key=settings.tls_key, ca=settings.tls_ca, peers=peers)

    @property
    def material(self) -> Material:
        """What the files hold; what they held before while they do not belong together, as in the middle of a change."""
        if time.monotonic() - self._looked < LOOK:
            return self._material
        self._looked = time.monotonic()
        try:
            if (stamps := self._stat()) != self._stamps:
                self._material, self._stamps = self._read(), stamps
        except (OSError, ValueError) as error:
            _log.warning("tls_files_unusable", error=str(error), files=[str(path) for path in self._paths])
        return self._material

    def _stat(self) -> list[tuple[int, int]]:
        return [(found.st_mtime_ns, found.st_ino) for found in (path.stat() for path in self._paths)]

    def _read(self) -> Material:
        material = Material(*(path.read_bytes() for path in self._paths))
        left = (ends := material.check()) - datetime.now(UTC)
        say = _log.info if left > SOON else _log.warning if left > timedelta() else _log.error
        say("tls_certificate", file=str(self._paths[1]), ends=ends.isoformat(), expired=left <= timedelta())
        return material

    def server_credentials(self) -> grpc.ServerCredentials:
        """Credentials of a server that asks for a certificate; each handshake has what the files hold then."""

        def configuration() -> Any:
            now = self.material
            return grpc.ssl_server_certificate_configuration([(now.key, now.chain)], now.authorities)

        made = grpc.dynamic_ssl_server_credentials(
            configuration(), configuration, require_client_authentication=True
        )
        _immortal.append(made)
        return made

    def check_peer(self, context: "grpc.aio.ServicerContext[Any, Any]") -> None:
        """Raises Denied when the caller's certificate has none of the names that may call."""
        names = {name.decode() for name in context.auth_context().get("x509_subject_alternative_name", ())}
        if self._peers and not names & self._peers:
            _log.warning(
                "tls_peer_refused", names=sorted(names), allowed=sorted(self._peers), peer=context.peer()
            )
            raise Denied("the caller's certificate has no name that may call", reason="PEER_REFUSED")

    def channel(self, open_: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]) -> grpc.aio.Channel:
        """A channel that is opened anew when the files have changed."""
        return _Renewing(self, open_)  # type: ignore[return-value]  # it has what stubs and we use of one


class _Renewing:
    """Makes each call on a channel with the newest certificate; calls under way end on the one they began on."""

    def __init__(self, tls: Tls, open_: Callable[[grpc.ChannelCredentials], grpc.aio.Channel]) -> None:
        self._tls, self._open = tls, open_
        self._material: Material | None = None
        self._channel: grpc.aio.Channel | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def _current(self) -> grpc.aio.Channel:
        material = self._tls.material
        if self._channel is None or material is not self._material:
            if self._channel is not None:
                closing = asyncio.create_task(self._channel.close(GRACE))
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)
            credentials = grpc.ssl_channel_credentials(material.authorities, material.key, material.chain)
            self._material, self._channel = material, self._open(credentials)
        return self._channel

    def unary_unary(self, method: str, **codec: Any) -> Callable[..., Any]:
        return self._callable("unary_unary", method, codec)

    def unary_stream(self, method: str, **codec: Any) -> Callable[..., Any]:
        return self._callable("unary_stream", method, codec)

    async def channel_ready(self) -> None:
        await self._current().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        for closing in [*self._closing]:
            closing.cancel()
        if self._channel is not None:
            await self._channel.close(grace)

    def _callable(self, kind: str, method: str, codec: Mapping[str, Any]) -> Callable[..., Any]:
        made: tuple[object, Any] = (None, None)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal made
            channel = self._current()
            if made[0] is not channel:
                made = channel, getattr(channel, kind)(method, **codec)
            return made[1](*args, **kwargs)

        return call
