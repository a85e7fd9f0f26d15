"""Chat, push, SMS and voice providers by the URLs of Apprise, a library that blocks: in threads, and on a short lead."""

import asyncio
import contextvars
import logging
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import structlog

from services.notify.channels.checked_http import ATTEMPT, Attempt, Lookup, install
from services.notify.channels.webhook import retry_after
from services.notify.domain.chat import PROVIDERS, address_problem, without_secrets
from services.notify.domain.delivery import Answer, Message, Rejected, Retry, Sent, reason
from services.notify.domain.networks import Networks
from services.notify.domain.template import Text

DEADLINE = timedelta(seconds=10)
"""For everything, from waiting for a thread to the provider's answer."""
THREADS = 32
UNKNOWN = "is not a URL that a provider of chat messages takes; see docs/notifications.md"

_log = structlog.get_logger()


class Chats:
    """The channel CHAT.

    A provider's 5xx and 429 are tried again, other refusals are final. Apprise says little of what went wrong, so what
    counts is the last answer that was seen on the wire.
    """

    def __init__(
        self,
        *,
        networks: Networks,
        write: Callable[[Message], Text],
        now: Callable[[], datetime],
        lookup: Lookup | None = None,
        deadline: timedelta = DEADLINE,
        threads: int = THREADS,
    ) -> None:
        """`write` gives a message its words; `lookup` answers as socket.getaddrinfo does."""
        self._networks = networks
        self._write = write
        self._now = now
        self._lookup = lookup or _getaddrinfo
        self._deadline = deadline.total_seconds()
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="chat")

    async def open(self) -> None:
        """Makes the library's requests checked, and its log silent: addresses would be in it."""
        install()
        for name in ("apprise", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    async def close(self) -> None:
        """Waits for nothing: what hangs is cut at its deadline."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def problem(self, address: str) -> str:
        """What keeps an address from being one that is sent to; empty when nothing does. Asks nobody."""
        if problem := address_problem(address):
            return problem
        return await asyncio.get_running_loop().run_in_executor(self._threads, _problem, address)

    async def send(self, message: Message) -> Answer:
        """One attempt, over within the deadline of 10 s; never raises but when cancelled."""
        if problem := address_problem(message.address):
            return Rejected(f"the address {problem}")
        attempt = Attempt(self._networks, self._lookup, ends=time.monotonic() + self._deadline)
        context = contextvars.copy_context()
        context.run(ATTEMPT.set, attempt)
        loop = asyncio.get_running_loop()
        try:
            text = self._write(message)
            severity = str(message.data.get("alert", {}).get("severity", ""))
            run = loop.run_in_executor(self._threads, context.run, _notify, message.address, text, severity)
            async with asyncio.timeout(self._deadline):
                taken = await run
        except TimeoutError:
            return Retry(f"no answer within {self._deadline:g} s", silent=True)
        except Exception as error:  # whatever a plugin of the library raises
            _log.warning("chat_failed", error=type(error).__name__)
            return Retry(f"the provider's library failed: {type(error).__name__}")
        finally:
            attempt.end()
        if taken is None:
            return Rejected(f"the address {UNKNOWN}")
        return self._answer(taken, attempt, message.address)

    def _answer(self, taken: bool, attempt: Attempt, address: str) -> Answer:
        if taken:
            return Sent()
        if attempt.denied:
            return Rejected(attempt.denied)
        if attempt.status is None:
            trouble = without_secrets(attempt.trouble, address) or "the provider was not asked"
            return Retry(reason(f"no answer: {trouble}"), silent=True)
        said = without_secrets(attempt.body[:2_000].decode(errors="replace"), address)
        why = reason(f"HTTP {attempt.status}: {said}" if said else f"HTTP {attempt.status}")
        if attempt.status == 429 or attempt.status >= 500 or 200 <= attempt.status < 300:
            after = retry_after(attempt.headers.get("retry-after", ""), self._now())
            return Retry(why, after=after)
        return Rejected(why)


def _problem(address: str) -> str:
    return "" if _plugin(address) is not None else UNKNOWN


def _plugin(address: str) -> Any:
    """The library's plugin for an address; None when there is none that may be used."""
    from apprise import Apprise, AppriseAsset  # takes a third of a second
    from apprise.common import OverflowMode, PersistentStoreMode

    asset = AppriseAsset(
        app_id="Tocsin",
        app_desc="Tocsin",
        app_url="",
        plugin_paths=[],
        async_mode=False,
        http_redirects=False,
        storage_mode=PersistentStoreMode.MEMORY,
    )
    plugin = Apprise.instantiate(address, asset=asset)
    if plugin is None or not any(scheme in PROVIDERS for scheme in _schemes(plugin)):
        return None
    plugin.overflow_mode = OverflowMode.TRUNCATE
    plugin.socket_connect_timeout = plugin.socket_read_timeout = DEADLINE.total_seconds()
    return plugin


def _schemes(plugin: Any) -> set[str]:
    named: set[str] = set()
    for attribute in ("protocol", "secure_protocol"):
        value = getattr(plugin, attribute, None) or ()
        named |= {value} if isinstance(value, str) else set(value)
    return named


def _notify(address: str, text: Text, severity: str) -> bool | None:
    """Whether the provider took it; None when the address has no provider. Blocks."""
    from apprise import NotifyFormat, NotifyType

    plugin = _plugin(address)
    if plugin is None:
        return None
    kinds = {"CRITICAL": NotifyType.FAILURE, "HIGH": NotifyType.FAILURE, "MEDIUM": NotifyType.WARNING}
    return bool(
        plugin.notify(
            body=text.body,
            title=text.title,
            notify_type=kinds.get(severity, NotifyType.INFO),
            body_format=NotifyFormat.TEXT,
        )
    )


def _getaddrinfo(host: str, port: int, family: int) -> list[Any]:
    return socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
