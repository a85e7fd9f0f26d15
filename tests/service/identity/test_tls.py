"""Mutual TLS: who may call, who is refused, and certificates that change under traffic."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
import trustme
import typer

from chassis import tls
from chassis.auth import Verifier, mint, scopes_of
from chassis.client import channel
from chassis.errors import Denied, DomainError, Unavailable
from chassis.server import Server
from chassis.tls import Tls
from cli.health import health
from cli.stack.certificates import issued
from tests.fixtures.eventually import PATIENCE, eventually
from tests.service.identity.world import KEY, Installation
from tocsin.options.v1 import options_pb2
from tocsin.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

SERVICES = tuple(sla_service_pb2.DESCRIPTOR.services_by_name.values())
TOKEN = mint(KEY, subject="ada", scopes=["sla:read", "sla:write"])
Request = sla_service_pb2.GetOverviewRequest


@dataclass
class Files:
    """A folder with certificates of one authority."""

    directory: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    def issue(
        self, name: str, *names: str, ends: datetime | None = None, by: trustme.CA | None = None
    ) -> None:
        """Writes the files of a service, certificate first; its names are its own and this machine's unless given."""
        made = (by or self.ca).issue_cert(*(names or (name, "127.0.0.1")), not_after=ends)
        (self.directory / f"{name}.pem").write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        (self.directory / f"{name}.key").write_bytes(made.private_key_pem.bytes())
        (self.directory / "ca.pem").write_bytes(self.ca.cert_pem.bytes())

    def told(self, name: str, *peers: str) -> dict[str, Any]:
        """What the service is told."""
        found = {
            part: str(self.directory / f"{name}.{end}") for part, end in (("cert", "pem"), ("key", "key"))
        }
        ca = str(self.directory / "ca.pem")
        return {f"tls_{part}": path for part, path in (found | {"ca": ca}).items()} | {
            "tls_peers": ",".join(peers)
        }

    def tls(self, name: str, *peers: str) -> Tls:
        """The certificate of a service, and who may call it."""
        paths = {
            key.removeprefix("tls_"): value for key, value in self.told(name).items() if key != "tls_peers"
        }
        return Tls(**paths, peers=frozenset(peers))


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    monkeypatch.setattr(tls, "LOOK", 0.0)
    return Files(tmp_path)


class Figures(sla_service_pb2_grpc.SlaServiceServicer):
    """Answers everybody who gets in."""

    async def GetOverview(self, request: Request, _: Any) -> sla_pb2.Overview:
        return sla_pb2.Overview(total_alerts=1)


@asynccontextmanager
async def serving(certificate: Tls) -> AsyncIterator[Server]:
    """A server with the certificate."""
    server = Server(
        listen="127.0.0.1:0",
        verifier=Verifier(KEY),
        scopes=scopes_of(SERVICES, options_pb2.scope),
        tls=certificate,
    )
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(Figures(), server.grpc)  # type: ignore[abstract]
    await server.start()
    try:
        yield server
    finally:
        await server.grpc.stop(None)


async def ask(server: Server, certificate: Tls | None) -> None:
    """One call on a channel of its own."""
    wire = channel(server.address, token=TOKEN, tls=certificate, deadline=timedelta(seconds=PATIENCE))
    try:
        await sla_service_pb2_grpc.SlaServiceStub(wire).GetOverview(Request())
    finally:
        await wire.close()


def serial(server: Server, files: Files, name: str) -> int:
    """The serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context(cafile=files.directory / "ca.pem")
    context.load_cert_chain(files.directory / f"{name}.pem", files.directory / f"{name}.key")
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        return int(str(secure.getpeercert()["serialNumber"]), 16)  # type: ignore[index]


async def test_only_those_who_are_named_may_call(files: Files) -> None:
    for name in ("sla", "gateway", "stranger"):
        files.issue(name)
    async with serving(files.tls("sla", "gateway", "notify")) as server:
        await ask(server, files.tls("gateway"))
        stranger = files.tls("stranger")
        with structlog.testing.capture_logs() as logs, pytest.raises(Denied) as refused:
            await ask(server, stranger)
        assert refused.value.reason == "PEER_REFUSED"
        assert [(log["event"], log["names"]) for log in logs] == [
            ("tls_peer_refused", ["127.0.0.1", "stranger"])
        ]
        with pytest.raises(Unavailable):
            await ask(server, None)  # in plain text
    async with serving(files.tls("sla")) as server:
        await ask(server, files.tls("stranger"))  # nobody is named: everybody whom the CA knows


async def test_strangers_the_expired_and_the_misnamed_are_refused(files: Files) -> None:
    files.issue("sla")
    files.issue("old", ends=datetime.now(UTC) - timedelta(hours=1))
    files.issue("forged", by=trustme.CA())
    files.issue("other", "other.example")
    with structlog.testing.capture_logs() as logs:
        expired = files.tls("old")
    assert [(log["event"], log["log_level"], log["expired"]) for log in logs] == [
        ("tls_certificate", "error", True)
    ]
    async with serving(files.tls("sla")) as server:
        for refused in (expired, files.tls("forged")):
            with pytest.raises(Unavailable):
                await ask(server, refused)
    files.issue("gateway")
    for name, complaint in (("other", "Hostname Verification"), ("old", "certificate has expired")):
        async with serving(files.tls(name)) as server:
            with pytest.raises(Unavailable, match=complaint):
                await ask(server, files.tls("gateway"))


async def test_certificates_change_without_a_failed_call(files: Files) -> None:
    for name in ("sla", "gateway"):
        files.issue(name)
    failed: list[DomainError] = []
    done, over = 0, asyncio.Event()
    async with serving(files.tls("sla", "gateway")) as server:
        wire = channel(
            server.address, token=TOKEN, tls=files.tls("gateway"), deadline=timedelta(seconds=PATIENCE)
        )
        stub = sla_service_pb2_grpc.SlaServiceStub(wire)

        async def call() -> None:
            nonlocal done
            while not over.is_set():
                try:
                    await stub.GetOverview(Request())
                except DomainError as error:
                    failed.append(error)
                done += 1

        callers = [asyncio.create_task(call()) for _ in range(4)]
        shown = {await asyncio.to_thread(serial, server, files, "gateway")}
        for _ in range(5):
            before = done
            await eventually(lambda before=before: done > before + 20)  # type: ignore[misc]
            files.issue("sla")
            files.issue("gateway")
            shown.add(await asyncio.to_thread(serial, server, files, "gateway"))
        over.set()
        await asyncio.gather(*callers)
        await wire.close()
    assert failed == []
    assert len(shown) == 6  # each new connection saw the newest


async def test_a_rotation_half_done_is_not_used(files: Files) -> None:
    files.issue("sla")
    certificate = files.tls("sla")
    before = certificate.material
    key = (files.directory / "sla.key").read_bytes()
    files.issue("sla")
    new_key = (files.directory / "sla.key").read_bytes()
    (files.directory / "sla.key").write_bytes(key)
    with structlog.testing.capture_logs() as logs:
        assert certificate.material is before
    assert [(log["event"], log["error"]) for log in logs] == [
        ("tls_files_unusable", "the key is not the certificate's")
    ]
    (files.directory / "sla.key").write_bytes(new_key)
    assert certificate.material is not before
    (files.directory / "sla.pem").unlink()
    assert certificate.material.key == new_key


async def test_the_certificates_of_compose_are_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in issued(["sla", "gateway"]).items():
        (tmp_path / name).write_text(content)

    def certificate(name: str, *peers: str) -> Tls:
        cert, key = (str(tmp_path / f"{name}_tls_{part}.pem") for part in ("cert", "key"))
        return Tls(cert=cert, key=key, ca=str(tmp_path / "tls_ca.pem"), peers=frozenset(peers))

    async with serving(certificate("sla", "gateway")) as server:
        await ask(server, certificate("gateway"))
        with pytest.raises(Denied):
            await ask(server, certificate("sla"))
        healthy = asyncio.create_task(asyncio.to_thread(health, server.address))
        with pytest.raises(typer.Exit):
            await healthy
        for part, name in (("CA", "tls_ca"), ("CERT", "sla_tls_cert"), ("KEY", "sla_tls_key")):
            monkeypatch.setenv(f"TOCSIN_TLS_{part}", str(tmp_path / f"{name}.pem"))
        await asyncio.to_thread(health, server.address)


async def test_an_installation_speaks_tls_alone(installation: Installation, files: Files) -> None:
    names = ("roster", "sla", "gateway")
    for name in names:
        files.issue(name)
    installation.told_each = {
        "roster": files.told("roster", "sla", "gateway"),
        "sla": files.told("sla", "gateway"),
        "gateway": files.told("gateway"),
    }
    await installation.start(*names)
    key = await installation.key("sla:read")
    assert (await installation.call("GET", "/sla/overview", token=key["secret"])).status == 200
    async with grpc.aio.insecure_channel(installation.addresses["sla"]) as plain:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await sla_service_pb2_grpc.SlaServiceStub(plain).GetOverview(Request(), timeout=PATIENCE)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
