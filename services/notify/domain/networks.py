"""Which addresses a webhook may go to: the public Internet, and what an operator allows besides."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

DENIED: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "reserved"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "6to4 relay"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4-compatible"),
    ("::ffff:0:0:0/96", "IPv4-translated"),
    ("64:ff9b::/96", "NAT64"),
    ("64:ff9b:1::/48", "NAT64"),
    ("100::/64", "discard"),
    ("2001::/23", "Teredo or reserved"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "segment routing"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
)
"""An explicit list: `is_global` of Python 3.11 calls NAT64, 6to4 and multicast global."""

_NUMBER = re.compile(r"0x[0-9a-f]{1,16}|0[0-7]{0,20}|[1-9][0-9]{0,15}", re.I | re.ASCII)

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_DENIED: tuple[tuple[Network, str], ...] = tuple((ip_network(network), kind) for network, kind in DENIED)


class Networks:
    """The deny list, less the networks that an operator has named."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """`allowed` are CIDRs; raises ValueError for what is none."""
        self._allowed = tuple(ip_network(network.strip()) for network in allowed if network.strip())

    def refusal(self, address: str) -> str:
        """Why an IP address is not allowed, such as `loopback`; empty when it is.

        An IPv4-mapped address counts as the IPv4 address in it. Raises ValueError for what is no IP address.
        """
        ip: Address = ip_address(address)
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self._allowed):
            return ""
        return next((kind for network, kind in _DENIED if ip in network), "")

    def literal_refusal(self, host: str) -> str:
        """The same for the host of a URL; empty for a name, which is resolved only when something is sent.

        Numbers that resolvers take for IPv4 addresses are such: `127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`.
        """
        try:
            return self.refusal(host)
        except ValueError:
            numbers = _numbers(host)
        return self.refusal(numbers) if numbers else ""


def _numbers(host: str) -> str:
    """The IPv4 address that one to four numbers, each decimal, octal or hexadecimal, stand for; empty for a name."""
    parts = host.removesuffix(".").split(".")
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return ""
    *first, last = [int(part, _base(part)) for part in parts]
    if any(one > 255 for one in first) or last >= 256 ** (4 - len(first)):
        return ""
    return str(IPv4Address(sum(one << 8 * (3 - place) for place, one in enumerate(first)) + last))


def _base(part: str) -> int:
    if part[:2].lower() == "0x":
        return 16
    return 8 if part.startswith("0") else 10
