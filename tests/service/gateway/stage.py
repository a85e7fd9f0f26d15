"""The gateway as it runs, over a gRPC server that stands in for the four services."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from yarl import URL

from chassis.auth import Verifier, mint, scopes_of
from chassis.errors import Unimplemented
from chassis.server import Server
from services.gateway import contract
from services.gateway.contract import Contract
from services.gateway.main import Config, build
from tocsin.options.v1 import options_pb2

KEY = "k" * 32
FOLLOWED = "WatchApiKeys"
Play = Callable[[Any, Any], Any]


@dataclass
class Answer:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.text)

    @property
    def error(self) -> Any:
        """The error object."""
        return self.json["error"]

    @property
    def wrong(self) -> dict[str, str]:
        """The wrong fields that the error names, with what is wrong."""
        return {
            violation["field"]: violation["description"]
            for detail in self.error["details"]
            if detail["@type"].endswith("google.rpc.BadRequest")
            for violation in detail["field_violations"]
        }


@dataclass
class Asked:
    """One call that reached a service."""

    method: str
    request: Any
    metadata: dict[str, str]
    seconds: float | None


@dataclass
class Services:
    """All methods of all services on one gRPC server: each remembers what it was asked and answers what it was told."""

    server: Server
    plays: dict[str, Play] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def play(self, method: str, answer: Message | Exception | Play) -> None:
        """What a method answers from now on: a message, an error, or a function of request and context."""
        if isinstance(answer, Message):
            self.plays[method] = lambda request, context: answer
        elif isinstance(answer, Exception):
            self.plays[method] = _raiser(answer)
        else:
            self.plays[method] = answer

    @property
    def last(self) -> Any:
        """The request that came last."""
        return self.asked[-1].request

    def handler(self, method: MethodDescriptor) -> Any:
        """A handler of one method."""
        codec: dict[str, Any] = {
            "request_deserializer": message_factory.GetMessageClass(method.input_type).FromString,
            "response_serializer": message_factory.GetMessageClass(method.output_type).SerializeToString,
        }

        async def unary(request: Any, context: Any) -> Any:
            self._remember(method, request, context)
            play = self.plays.get(method.name)
            if play is None:
                return message_factory.GetMessageClass(method.output_type)()
            answer = play(request, context)
            return await answer if hasattr(answer, "__await__") else answer

        async def stream(request: Any, context: Any) -> Any:
            self._remember(method, request, context)
            play = self.plays.get(method.name) or _raiser(Unimplemented("no play"))
            async for answer in play(request, context):
                yield answer

        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, **codec)
        return grpc.unary_unary_rpc_method_handler(unary, **codec)

    def _remember(self, method: MethodDescriptor, request: Any, context: Any) -> None:
        if method.name == FOLLOWED:  # the gateway asks by itself
            return
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.asked.append(Asked(method.name, request, metadata, context.time_remaining()))


def _raiser(error: Exception) -> Play:
    def play(request: Any, context: Any) -> Any:
        raise error

    return play


@dataclass
class Stage:
    """The gateway, the services behind it, and a caller in front."""

    services: Services
    base: str
    session: aiohttp.ClientSession

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        token: str | None = "admin",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Calls over HTTP; `token` is the scopes of the token, None for none; bytes go as they are."""
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("authorization", f"Bearer {token_with(*token.split())}")
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("content-type", "application/json")
        url = URL(self.base + path, encoded=True)
        async with self.session.request(
            method, url, data=data, headers=sent, skip_auto_headers=["content-type"], allow_redirects=False
        ) as response:
            return Answer(response.status, response.headers, await response.text())

    async def api(self, method: str, path: str, body: object = None, **kwargs: Any) -> Answer:
        """Calls below the base path."""
        return await self.call(method, f"/api/alert{path}", body, **kwargs)


def token_with(*scopes: str) -> str:
    """A token of the subject `ada`."""
    return mint(KEY, subject="ada", scopes=scopes)


@asynccontextmanager
async def standing_in(listen: str = "127.0.0.1:0", spoken: Contract | None = None) -> AsyncIterator[Services]:
    """A server that plays all four services, or those of another contract."""
    spoken = spoken or contract.load()
    server = Server(
        listen=listen, verifier=Verifier(KEY), scopes=scopes_of(spoken.services, options_pb2.scope)
    )
    services = Services(server)
    for service in spoken.services:
        handlers = {method.name: services.handler(method) for method in service.methods}
        server.grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service.full_name, handlers),)
        )
    await server.start()
    yield services
    await server.grpc.stop(None)


def config(address: str) -> Config:
    """A gateway in front of one server."""
    return Config(
        token_key=KEY,
        roster_address=address,
        escalation_address=address,
        notify_address=address,
        sla_address=address,
    )


@asynccontextmanager
async def stage_over(services: Services, spoken: Contract | None = None) -> AsyncIterator[Stage]:
    """The gateway over the services."""
    told = config(services.server.address)
    async with build(told, spoken) as gateway, aiohttp.ClientSession() as session:
        yield Stage(services, f"http://{gateway.address}", session)
