"""Signed HTTP POSTs (Standard Webhooks 1.0) to addresses that nobody has reason to trust."""

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from services.notify.domain.contact_method import secret_key
from services.notify.domain.delivery import Answer, Message, Rejected, Retry, Sent
from services.notify.domain.networks import Networks

DEADLINE = timedelta(seconds=10)
"""For everything: the name, the connection, TLS, the request, the answer."""
BODY_LIMIT, BODY_WAIT = 64 * 1024, 1.0
"""Bytes and seconds for the body of an answer that is not 2xx: it only explains the failure."""
IDLE = 4.0
"""Seconds for which a connection is kept: less than servers commonly do, so that none is gone when it is used."""
LONGEST_EXCERPT = 200
LONGEST_ASKED = timedelta(hours=24)
RESOLVING = 64
"""Names resolved at the same time: a name server that hangs must not hold up the others."""

Lookup = Callable[[str, int, int], list[Any]]


class AddressDenied(OSError):
    """A name or URL leads to an address to which nothing may be sent."""


class Webhooks:
    """The channel WEBHOOK.

    The address that is connected to is the one that was checked: a name is resolved once per connection, addresses
    that are not allowed are left out, and the function that makes sockets looks again, for URLs without a name. No redirect is followed, no proxy used, no cookie
    kept. Anything but 2xx is tried again, since receivers answer 4xx while they are being deployed too; 410 alone
    means that the receiver is gone.
    """

    def __init__(
        self,
        *,
        networks: Networks,
        now: Callable[[], datetime],
        lookup: Lookup | None = None,
        tls: ssl.SSLContext | None = None,
        deadline: timedelta = DEADLINE,
    ) -> None:
        """`lookup` has the parameters host, port and family and answers as socket.getaddrinfo."""
        self._deadline = deadline.total_seconds()
        self._networks = networks
        self._now = now
        self._lookup = lookup or _getaddrinfo
        self._tls = tls or ssl.create_default_context()
        self._names = ThreadPoolExecutor(RESOLVING, thread_name_prefix="resolve")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Gets ready to send; must run on the loop that sends."""
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._lookup, self._names, self._networks),
            use_dns_cache=False,
            limit=0,
            ssl=self._tls,
            keepalive_timeout=IDLE,
            socket_factory=self._socket,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            max_headers=100,
            headers={"user-agent": "tocsin/1", "content-type": "application/json"},
        )

    async def close(self) -> None:
        """Closes every connection."""
        if self._session is not None:
            await self._session.close()
        self._names.shutdown(wait=False, cancel_futures=True)

    async def send(self, message: Message) -> Answer:
        """One attempt, over within the deadline of 10 s; never raises but when cancelled."""
        keys = [key for secret in message.secrets if (key := secret_key(secret)) is not None]
        if not keys:
            return Rejected("the contact method has no secret to sign with")
        body = payload(message)
        try:
            async with asyncio.timeout(self._deadline):
                return await self._post(message.address, body, signed(message, body, keys, self._now()))
        except TimeoutError:
            return Retry(f"no answer within {self._deadline:g} s", silent=True)
        except aiohttp.InvalidURL:
            return Rejected("the address is not a URL")
        except aiohttp.ClientSSLError as error:
            return Retry(f"TLS: {error}"[:LONGEST_EXCERPT], silent=True)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, AddressDenied):
                return Rejected(str(error.os_error))
            return Retry(f"no connection: {error.os_error}", silent=True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Retry(f"{type(error).__name__}: {error}"[:LONGEST_EXCERPT], silent=True)

    async def _post(self, address: str, body: bytes, headers: dict[str, str]) -> Answer:
        assert self._session is not None, "open first"
        async with self._session.post(address, data=body, headers=headers, allow_redirects=False) as response:
            if 200 <= response.status < 300:
                return Sent()
            reason = f"HTTP {response.status}"
            if response.status == 410:
                return Rejected(reason, disable=True)
            if 300 <= response.status < 400:
                return Retry(f"{reason}: redirects are not followed")
            after = retry_after(response.headers.get("retry-after", ""), self._now())
            if said := await _excerpt(response):
                reason = f"{reason}: {said}"
            return Retry(reason, after=after)

    def _socket(self, info: Any) -> socket.socket:
        """The one place where sockets are made, so no address goes unchecked whatever it was written like."""
        family, kind, protocol, _, address = info
        if refusal := _refusal(self._networks, address):
            raise AddressDenied(f"the address is not allowed: {refusal}")
        return socket.socket(family=family, type=kind, proto=protocol)


class _Resolver(AbstractResolver):
    """Asks the system for every new connection, in threads of its own, and answers allowed addresses alone."""

    def __init__(self, lookup: Lookup, threads: ThreadPoolExecutor, networks: Networks) -> None:
        self._lookup = lookup
        self._threads = threads
        self._networks = networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        loop = asyncio.get_running_loop()
        infos = await loop.run_in_executor(self._threads, self._lookup, host, port, family)
        refusals = [_refusal(self._networks, info[4]) for info in infos]
        if infos and all(refusals):
            raise AddressDenied(f"the address is not allowed: {refusals[0]}")
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for (found, _, protocol, _, address), refusal in zip(infos, refusals, strict=True)
            if not refusal
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def payload(message: Message) -> bytes:
    """The body of a webhook: JSON in UTF-8."""
    at = message.at.isoformat().replace("+00:00", "Z")
    body = {"type": message.type, "timestamp": at, "data": message.data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def signed(message: Message, body: bytes, keys: Sequence[bytes], now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: the id is the same on every attempt, the timestamp is the attempt's.

    While a key is being replaced there is a signature by each.
    """
    seconds = int(now.timestamp())
    content = f"{message.message_id}.{seconds}.".encode() + body
    macs = (base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": str(message.message_id),
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }


def retry_after(header: str, now: datetime) -> timedelta | None:
    """How long the other side asks to wait: seconds or an HTTP date, at most 24 hours; None when it is neither."""
    text = header.strip()
    if text.isascii() and text.isdigit():
        return min(timedelta(seconds=int(text[:9])), LONGEST_ASKED)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max(at - now, timedelta()), LONGEST_ASKED)


async def _excerpt(response: aiohttp.ClientResponse) -> str:
    """The beginning of an answer's body in one line; what comes late or after 64 KiB is not waited for."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WAIT):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) >= BODY_LIMIT:
                    break
    except (TimeoutError, aiohttp.ClientError):
        pass
    text = bytes(body[: 4 * LONGEST_EXCERPT]).decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LONGEST_EXCERPT]


def _refusal(networks: Networks, address: Any) -> str:
    return networks.refusal(str(address[0]).partition("%")[0])


def _getaddrinfo(host: str, port: int, family: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
