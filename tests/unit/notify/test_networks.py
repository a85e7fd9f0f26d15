"""Which addresses webhooks may go to."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.domain.networks import Networks

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.32.0.1",
    "2606:4700::1111",
    "::ffff:1.1.1.1",
]
FORBIDDEN = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "10.1.2.3": "private",
    "100.64.0.1": "carrier-grade NAT",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "169.254.169.254": "link-local",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "198.18.0.1": "benchmarking",
    "224.0.0.1": "multicast",
    "239.1.1.1": "multicast",
    "255.255.255.255": "reserved",
    "::": "unspecified",
    "::1": "loopback",
    "::127.0.0.1": "IPv4-compatible",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:10.0.0.1": "private",
    "::ffff:0:127.0.0.1": "IPv4-translated",
    "64:ff9b::7f00:1": "NAT64",
    "64:ff9b:1::7f00:1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2001::1": "Teredo or reserved",
    "2001:db8::1": "documentation",
    "fc00::1": "private",
    "fd12:3456::1": "private",
    "fe80::1": "link-local",
    "fec0::1": "site-local",
    "ff02::1": "multicast",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert Networks().refusal(address) == ""


@pytest.mark.parametrize(("address", "kind"), FORBIDDEN.items())
def test_forbidden_addresses_say_what_they_are(address: str, kind: str) -> None:
    assert Networks().refusal(address) == kind


def test_an_operator_allows_networks_in_every_form_of_the_address() -> None:
    networks = Networks(["127.0.0.0/8", " ::1/128 ", ""])
    assert networks.refusal("127.0.0.1") == ""
    assert networks.refusal("::ffff:127.0.0.1") == ""
    assert networks.refusal("::1") == ""
    assert networks.refusal("10.0.0.1") == "private"
    assert networks.refusal("64:ff9b::7f00:1") == "NAT64"


def test_an_allowance_that_is_no_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="host bits"):
        Networks(["10.0.0.1/8"])


def test_names_are_not_judged_before_they_are_resolved() -> None:
    assert Networks().literal_refusal("localhost") == ""
    assert Networks().literal_refusal("127.0.0.1") == "loopback"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1.", "0X7F.1"])
def test_numbers_that_stand_for_an_address_are_one(host: str) -> None:
    assert Networks().literal_refusal(host) == "loopback"


@pytest.mark.parametrize(
    "host", ["1.1", "16843009", "7f000001", "1.2.3.4.5", "256.1", "08.1", "1..1", "0x", "4294967296"]
)
def test_numbers_that_are_public_or_no_address_are_not_refused(host: str) -> None:
    assert Networks().literal_refusal(host) == ""


@given(
    st.lists(
        st.sampled_from(["0", "0x7f", "127", "010", "1", "0x0", "255", "256", "65535", "08"]),
        min_size=1,
        max_size=5,
    )
)
def test_numbers_are_read_as_resolvers_read_them(parts: list[str]) -> None:
    host = ".".join(parts)
    try:
        want = Networks().refusal(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        want = ""
    assert Networks().literal_refusal(host) == want
