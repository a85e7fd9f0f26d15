"""The keys in a service's memory, as roster says that they are."""

import asyncio
import time
from contextlib import suppress
from datetime import timedelta
from typing import Any

import grpc
import structlog

from chassis.auth import Principal, mint
from chassis.client import channel
from chassis.errors import Unavailable
from chassis.loop import DueLoop
from chassis.tls import Tls
from chassis.wire import instant
from identity.config import IdentitySettings
from identity.keys import Held, Keys
from identity.scopes import SERVICE
from tocsin.roster.v1 import api_key_service_pb2, api_key_service_pb2_grpc

SILENCE = 6.0
"""Seconds without a word after which roster is asked anew; it speaks every two."""
AGAIN = timedelta(milliseconds=50)
REPORT = timedelta(minutes=1)
AT_ONCE = 10_000

_log = structlog.get_logger()


class Follower:
    """Follows roster's keys for ever; while it is away what it said last stays for a time."""

    def __init__(self, config: IdentitySettings, *, subject: str, tls: Tls | None = None) -> None:
        """`subject` is the name of the service that follows."""
        token = mint(config.token_key, subject=subject, scopes=[SERVICE])
        self._channel = channel(config.roster_address, token=token, tls=tls)
        self._stub = api_key_service_pb2_grpc.ApiKeyServiceStub(self._channel)
        self._authorization = (("authorization", f"Bearer {token}"),)
        self._kept = config.keys_kept_seconds
        self._keys: Keys | None = None
        self._told = float("-inf")
        self._news = asyncio.Event()
        self._used: set[str] = set()
        self._loops = (
            DueLoop("api-keys", self._follow),
            DueLoop("api-key-use", self._report, poll=REPORT),
        )

    @property
    def keys(self) -> Keys:
        """The keys that roster named last; raises Unavailable before it has, and when that is too long ago."""
        if self._keys is None:
            raise Unavailable("API keys are not known yet: roster has not answered", reason="KEYS_UNKNOWN")
        if time.monotonic() - self._told > self._kept:
            raise Unavailable("API keys are not known any more: roster is away", reason="KEYS_STALE")
        return self._keys

    async def news(self, patience: float) -> None:
        """Returns when roster has named the keys again, or after `patience` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._news.wait()

    def use(self, api_key_id: str) -> None:
        """Notes that a key is used now; roster is told within a minute."""
        self._used.add(api_key_id)

    async def run(self) -> None:
        """Follows and reports for ever; only cancellation ends it."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())

    async def close(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def _follow(self) -> timedelta:
        """Ends when roster drains, or by an error when it is gone or silent; how long to wait before asking anew."""
        call: Any = self._stub.WatchApiKeys(
            api_key_service_pb2.WatchApiKeysRequest(), metadata=self._authorization
        )
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    answer = await call.read()
                if answer is grpc.aio.EOF:
                    return AGAIN
                self._hear(answer)
        except grpc.aio.AioRpcError as error:
            raise Unavailable(f"roster does not tell of API keys: {error.details()}") from None
        except TimeoutError:
            raise Unavailable("roster has stopped telling of API keys") from None
        finally:
            call.cancel()

    def _hear(self, answer: api_key_service_pb2.WatchApiKeysResponse) -> None:
        self._told = time.monotonic()
        if answer.unchanged:
            return
        self._keys = {key.secret_sha256: held(key) for key in answer.keys}
        _log.info("api_keys_heard", keys=len(self._keys))
        self._news.set()
        self._news = asyncio.Event()

    async def _report(self) -> None:
        said = sorted(self._used)[:AT_ONCE]
        if not said:
            return
        await self._stub.RecordApiKeyUse(api_key_service_pb2.RecordApiKeyUseRequest(api_key_ids=said))
        self._used -= {*said}


def held(key: api_key_service_pb2.WatchApiKeysResponse.AcceptedKey) -> Held:
    """What a service keeps of a key."""
    expires_at = instant(key, "expires_at")
    return Held(
        Principal(key.subject, frozenset(key.scopes), key.api_key_id, key.rate_limit),
        float("inf") if expires_at is None else expires_at.timestamp(),
    )
