"""Addresses are read as people write them, and ports are handed out free and once."""

import socket
from pathlib import Path

import pytest

from cli.stack.child import StartError
from cli.stack.layout import Layout
from cli.stack.ports import Address, Ports


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:8080", "127.0.0.1", 8080), ("localhost:0", "localhost", 0), ("[::1]:65535", "::1", 65535)],
)
def test_an_address_is_read_and_written_back(text: str, host: str, port: int) -> None:
    address = Address.parse(text)
    assert address == Address(host, port)
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "8080", ":8080", "host:", "host:http", "host:65536", "host:-1", "host:²"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address.parse(text)


def test_an_address_is_taken_while_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address(*server.getsockname())
        assert not address.free()
        assert address.answers()
    assert address.free()
    assert not address.answers()


@pytest.mark.parametrize(
    ("host", "dialled"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.1.2.3", "10.1.2.3")]
)
def test_a_server_that_listens_everywhere_is_dialled_on_the_loopback(host: str, dialled: str) -> None:
    assert Address(host, 1).dialled == Address(dialled, 1)


def test_no_port_is_handed_out_twice() -> None:
    ports = Ports()
    taken = [ports.take() for _ in range(50)]
    assert len(set(taken)) == 50


def test_a_layout_keeps_the_gateway_where_it_was_wanted(tmp_path: Path) -> None:
    wanted = Address("127.0.0.1", Ports().take())
    layout = Layout.choose(tmp_path, wanted)
    everything = [*layout.grpc.values(), *layout.metrics.values()]
    ports = [address.port for address in everything] + [layout.postgres_port, layout.nats_port]
    assert layout.gateway == wanted
    assert len(set(ports)) == len(ports) == 11


def test_a_layout_picks_a_port_for_the_gateway_when_it_is_0(tmp_path: Path) -> None:
    assert Layout.choose(tmp_path, Address("127.0.0.1", 0)).gateway.port > 0


def test_a_taken_gateway_address_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(StartError, match=rf"127\.0\.0\.1:{port} is taken"):
            Layout.choose(tmp_path, Address("127.0.0.1", port))


def test_an_address_of_another_machine_is_named(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"--gateway 192\.0\.2\.1:80"):
        Layout.choose(tmp_path, Address("192.0.2.1", 80))
