"""The gRPC methods of ApiKeyService."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from google.protobuf import empty_pb2

from chassis import auth, outbox, paging, validation
from chassis.clock import Clock
from chassis.db import Database
from chassis.errors import AlreadyExists, Denied, NotFound, Problems
from chassis.server import Context
from identity.audit import audited
from identity.follower import AT_ONCE
from identity.keys import hashed, new_secret
from services.roster.convert import api_keys as convert
from services.roster.convert import events
from services.roster.domain.api_key import ApiKey, beyond, own_subject
from services.roster.key_memory import KeyMemory
from services.roster.storage import api_keys
from tocsin.roster.v1 import api_key_pb2, api_key_service_pb2, api_key_service_pb2_grpc

BEAT = 2.0
"""Seconds of silence after which watchers hear that nothing has changed."""


class ApiKeyApi(api_key_service_pb2_grpc.ApiKeyServiceServicer):
    """API keys, for people and for the gates of the services."""

    def __init__(self, db: Database, memory: KeyMemory, clock: Clock, *, draining: asyncio.Event) -> None:
        self._db = db
        self._memory = memory
        self._clock = clock
        self._draining = draining

    async def CreateApiKey(
        self, request: api_key_service_pb2.CreateApiKeyRequest, _: Context
    ) -> api_key_pb2.ApiKey:
        """Creates a key, or answers the one that the same request made before, without its secret."""
        now, problems, secret = self._clock.now(), Problems(), new_secret()
        key = convert.new(
            request, secret_sha256=hashed(secret), creator=auth.caller(), now=now, problems=problems
        )
        problems.check()
        _check_creator(key)
        async with audited(self._db) as conn:
            await api_keys.begin_change(conn)
            made = await api_keys.of_request(conn, request.request_id)
            if made is not None:
                return convert.to_wire(made)
            if not await api_keys.add(conn, key, request.request_id):
                raise AlreadyExists.field("api_key_id", f"the API key {key.api_key_id!r} exists already")
            await outbox.append(conn, [events.changed("api_key", key.api_key_id, "created", now)])
        await self._memory.changed()
        return convert.to_wire(key, secret=secret)

    async def GetApiKey(
        self, request: api_key_service_pb2.GetApiKeyRequest, _: Context
    ) -> api_key_pb2.ApiKey:
        """Reads one key."""
        async with self._db.connect() as conn:
            key = await api_keys.find(conn, request.api_key_id)
        if key is None:
            raise _unknown(request.api_key_id)
        return convert.to_wire(key)

    async def ListApiKeys(
        self, request: api_key_service_pb2.ListApiKeysRequest, _: Context
    ) -> api_key_service_pb2.ListApiKeysResponse:
        """Lists keys by id."""
        size = paging.size(request.page_size)
        [after] = paging.after(request.page_token, 1) or [""]
        async with self._db.connect() as conn:
            found = await api_keys.page(conn, request.subject, after, size + 1)
        page, token = paging.page(found, size, [found[:size][-1].api_key_id if found else ""])
        return api_key_service_pb2.ListApiKeysResponse(
            api_keys=[convert.to_wire(key) for key in page], next_page_token=token
        )

    async def DeleteApiKey(
        self, request: api_key_service_pb2.DeleteApiKeyRequest, _: Context
    ) -> empty_pb2.Empty:
        """Revokes a key."""
        now, api_key_id = self._clock.now(), request.api_key_id
        async with audited(self._db) as conn:
            await api_keys.begin_change(conn)
            if not await api_keys.remove(conn, api_key_id):
                raise _unknown(api_key_id)
            await outbox.append(conn, [events.changed("api_key", api_key_id, "deleted", now)])
        await self._memory.changed()
        return empty_pb2.Empty()

    async def WatchApiKeys(
        self, _request: api_key_service_pb2.WatchApiKeysRequest, _: Context
    ) -> AsyncIterator[api_key_service_pb2.WatchApiKeysResponse]:
        """Tells of all keys at first and after every change."""
        told = None
        while not self._draining.is_set():
            turn, keys = self._memory.turn, self._memory.all
            yield convert.watched(keys) if keys is not told else convert.Answer(unchanged=True)
            told = keys
            await _either(turn, self._draining)

    async def RecordApiKeyUse(
        self, request: api_key_service_pb2.RecordApiKeyUseRequest, _: Context
    ) -> empty_pb2.Empty:
        """Notes when keys were used last."""
        problems = Problems()
        validation.count(problems, "api_key_ids", request.api_key_ids, most=AT_ONCE)
        problems.check()
        async with self._db.begin() as conn:
            await api_keys.used(conn, request.api_key_ids, self._clock.now())
        return empty_pb2.Empty()


async def _either(*events: asyncio.Event) -> None:
    """Returns when one of them is set, or after a beat."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=BEAT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
            with suppress(asyncio.CancelledError):
                await wait


def _check_creator(key: ApiKey) -> None:
    """Raises Denied when the caller would hand out more than it has."""
    caller = auth.caller()
    if lacking := beyond(key.scopes, caller.scopes, admin=caller.has(auth.ADMIN)):
        raise Denied(
            f"scopes: a key can do no more than its creator, who lacks {', '.join(lacking)}",
            reason="SCOPE_BEYOND_CREATOR",
        )
    if key.subject != own_subject(key.api_key_id):
        auth.actor(key.subject)


def _unknown(api_key_id: str) -> NotFound:
    return NotFound(f"the API key {api_key_id[:64]!r} does not exist", reason="UNKNOWN_API_KEY")
